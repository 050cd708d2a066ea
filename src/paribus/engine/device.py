"""Where to compute: the ``device`` config group."""

from __future__ import annotations

import re
from dataclasses import dataclass

from paribus.errors import ConfigError, nearest
from paribus.spec import Spec, field

NAMES = ("auto", "cpu", "cuda", "cuda:N")


@dataclass(frozen=True)
class DeviceSpec(Spec, kind="device"):
    """The device, its number format, and how much goes through it at once; only the format counts in identities.

    Example:
        >>> DeviceSpec(name="cpu").resolve()
        'cpu'
    """

    name: str = field(
        "auto", science=False, help="Where to compute: auto, cpu, cuda, or cuda:N for the N-th device, from 0."
    )
    dtype: str = field(
        "float32",
        choices=("float32", "float64", "bfloat16", "float16"),
        help="Number format of forward passes; bfloat16 and float16 on CUDA only.",
    )
    batch_limit: int = field(512, low=1, science=False, help="The most rows in one forward pass.")

    def check(self) -> None:
        """Refuse a name that is none.

        Raises:
            ConfigError: If it is neither of auto, cpu, cuda, nor cuda and a number.
        """
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.name):
            raise ConfigError(f"DeviceSpec.name: no such choice {self.name!r}; {nearest(self.name, NAMES)}")

    def resolve(self) -> str:
        """Return ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            ConfigError: If CUDA is asked for and not there, or a half format is asked for on the CPU.
        """
        import torch

        name = self.name
        n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if name == "auto":
            name = "cuda" if n_devices else "cpu"
        if name.startswith("cuda") and not n_devices:
            raise ConfigError(f"device.name={name}: no CUDA device here; use device=auto or device=cpu")
        number = int(name.partition(":")[2] or 0)
        if number >= max(1, n_devices):
            raise ConfigError(f"device.name={name}: there are {n_devices} CUDA devices, numbered from 0")
        if name == "cpu" and self.dtype in ("bfloat16", "float16"):
            raise ConfigError(
                f"device.dtype={self.dtype}: half formats are for CUDA; use float32 or float64 on the CPU"
            )
        return name
