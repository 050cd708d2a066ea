"""The shipped options of the ``stats`` group fit its schema."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from paribus.errors import ConfigError
from paribus.stats.spec import StatsSpec

OPTIONS = sorted((Path(__file__).parents[2] / "conf" / "stats").glob("*.yaml"))


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: path.stem)
def test_every_option_lists_every_field(path):
    node = yaml.safe_load(path.read_text())
    assert node.pop("_target_") == "paribus.stats.spec.StatsSpec"
    assert set(node) == {field.name for field in dataclasses.fields(StatsSpec)}
    spec = StatsSpec(**node)
    assert (spec == StatsSpec()) == (path.stem == "default")


def test_there_are_a_default_and_a_quick_option():
    assert {path.stem for path in OPTIONS} >= {"default", "quick"}


@pytest.mark.parametrize("wrong", [{"adjust": "none"}, {"confidence": 1.0}, {"n_bootstrap": 10}])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        StatsSpec(**wrong)
