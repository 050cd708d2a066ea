"""The device that a spec resolves to on this machine."""

from __future__ import annotations

import torch

from paribus.engine.device import DeviceSpec
from paribus.errors import ConfigError


def resolved(spec: DeviceSpec) -> str:
    """Return ``cpu``, ``cuda`` or ``cuda:N``; see :meth:`paribus.engine.device.DeviceSpec.resolve`."""
    name = spec.name
    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if n_devices else "cpu"
    if name.startswith("cuda") and not n_devices:
        raise ConfigError(f"device.name={name}: no CUDA device here; use device=auto or device=cpu")
    number = int(name.partition(":")[2] or 0)
    if number >= max(1, n_devices):
        raise ConfigError(f"device.name={name}: there are {n_devices} CUDA devices, numbered from 0")
    if name == "cpu" and spec.dtype in ("bfloat16", "float16"):
        raise ConfigError(f"device.dtype={spec.dtype}: half formats are for CUDA; use float32 or float64 on the CPU")
    return name
