"""Where to compute: the ``device`` config group."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

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

    work: ClassVar[str] = "paribus.engine.devices"

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
        """Refuse a name that is not a device.

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
        found: str = self.work_module().resolved(self)
        return found
