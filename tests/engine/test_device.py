"""The device group."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from paribus.engine.device import DeviceSpec
from paribus.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf" / "device"


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda"])
def test_options_list_every_field(name):
    values = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    assert values.pop("_target_") == "paribus.engine.device.DeviceSpec"
    assert values == {"name": name, "dtype": "float32", "batch_limit": 512}
    DeviceSpec(**values)


def test_auto_takes_what_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert DeviceSpec().resolve() == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert DeviceSpec().resolve() == "cuda"
    assert DeviceSpec(name="cuda:1").resolve() == "cuda:1"
    with pytest.raises(ConfigError, match="device.name=cuda:2: there are 2 CUDA devices, numbered from 0"):
        DeviceSpec(name="cuda:2").resolve()
    assert DeviceSpec(name="cpu").resolve() == "cpu"


def test_what_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        DeviceSpec(name="cuda").resolve()
    with pytest.raises(ConfigError, match="no CUDA device"):
        DeviceSpec(name="cuda:1").resolve()
    for name in ("gpu", "cuda:", "cuda:x", "cpu:0"):
        with pytest.raises(ConfigError, match="no such choice"):
            DeviceSpec(name=name)
    with pytest.raises(ConfigError, match="half formats are for CUDA"):
        DeviceSpec(dtype="bfloat16").resolve()
    with pytest.raises(ConfigError, match="batch_limit"):
        DeviceSpec(batch_limit=0)
