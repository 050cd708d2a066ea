"""The values of a configuration that stand outside the groups."""

from __future__ import annotations

import re
from dataclasses import dataclass

from paribus.errors import ConfigError, nearest
from paribus.spec import Spec, field

CHECKPOINTS = ("peak_val", "final", "all", "peak_ood", "epoch:N")
_EPOCH = re.compile(r"epoch:\d+")


@dataclass(frozen=True)
class Settings(Spec, kind="settings"):
    """What every run has, whatever it does."""

    seed: int = field(0, low=0, help="Seed of the run; every stream of randomness is derived from it by name.")
    checkpoint: str = field(
        "peak_val",
        help="Checkpoint of a trained model: peak_val, final, epoch:N, all (the trajectory), or peak_ood "
        "(selected on the reported split, and marked so).",
    )
    reuse: str = field(
        "auto",
        choices=("auto", "always", "never"),
        science=False,
        help="Take a finished run of the same identity instead of running again: auto does so in sweeps.",
    )
    dry_run: bool = field(False, science=False, help="Validate the request completely and run nothing.")

    def check(self) -> None:
        """Check the choice of the checkpoint."""
        if self.checkpoint not in CHECKPOINTS[:-1] and not _EPOCH.fullmatch(self.checkpoint):
            raise ConfigError(
                f"Settings.checkpoint: no such choice {self.checkpoint!r}; {nearest(self.checkpoint, CHECKPOINTS)}"
            )
