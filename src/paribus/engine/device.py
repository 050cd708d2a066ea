"""Where to compute: the ``device`` config group."""

from __future__ import annotations

from dataclasses import dataclass

from paribus.errors import ConfigError
from paribus.spec import Spec, field


@dataclass(frozen=True)
class DeviceSpec(Spec, kind="device"):
    """The device, its number format, and how much goes through it at once; only the format counts in identities.

    Example:
        >>> DeviceSpec(name="cpu").resolve()
        'cpu'
    """

    name: str = field("auto", choices=("auto", "cpu", "cuda"), science=False, help="Where to compute.")
    dtype: str = field(
        "float32",
        choices=("float32", "float64", "bfloat16", "float16"),
        help="Number format of forward passes; bfloat16 and float16 on CUDA only.",
    )
    batch_limit: int = field(512, low=1, science=False, help="The most rows in one forward pass.")

    def resolve(self) -> str:
        """Return ``cpu`` or ``cuda``.

        Raises:
            ConfigError: If CUDA is asked for and not there, or a half format is asked for on the CPU.
        """
        import torch

        name = self.name
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cuda" and not torch.cuda.is_available():
            raise ConfigError("device.name=cuda: no CUDA device here; use device=auto or device=cpu")
        if name == "cpu" and self.dtype in ("bfloat16", "float16"):
            raise ConfigError(
                f"device.dtype={self.dtype}: half formats are for CUDA; use float32 or float64 on the CPU"
            )
        return name
