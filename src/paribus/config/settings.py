"""The values of a configuration outside the groups."""

from __future__ import annotations

import re
from dataclasses import dataclass

from paribus.errors import ConfigError, nearest
from paribus.spec import Spec, field

CHECKPOINTS = ("peak_val", "final", "all", "peak_ood", "epoch:N")
PNG, PDF = "png", "pdf"
AUTO = "auto"
OF_A_SWEEP = ("sweep", "workers")
"""Settings about how the jobs of a sweep are run together; no run keeps them."""
NOT_SAID = ("claim", "parent_hypothesis")
"""Settings that a run keeps only if they are set."""
_EPOCH = re.compile(r"epoch:\d+")


@dataclass(frozen=True)
class SweepSettings(Spec, kind="sweep"):
    """What a sweep does with jobs that failed, and how many of them share a GPU."""

    retry: str = field(
        "killed",
        choices=("killed", "failed"),
        science=False,
        help="Jobs of an earlier sweep to try again: those that were killed, or also those that failed with this code.",
    )
    on_error: str = field(
        "continue",
        choices=("continue", "stop"),
        science=False,
        help="After a job that failed: go on with the others, or start no more.",
    )
    equal_errors: int = field(
        10, low=0, science=False, help="Start no more jobs after so many that failed with the same message; 0: go on."
    )
    per_gpu: int | None = field(
        None, low=1, science=False, help="The most workers that share one GPU; null: one, or as gpu_memory says."
    )
    gpu_memory: float | None = field(
        None,
        above=0.0,
        science=False,
        help="GiB of GPU memory that a job needs: as many workers share a GPU as have room when the sweep starts.",
    )


@dataclass(frozen=True)
class FigureSettings(Spec, kind="figures"):
    """What figures are kept as."""

    formats: list[str] | None = field(
        None,
        choices=(PNG, PDF),
        science=False,
        help="Formats of a run's figures; null: png in sweeps, png and pdf in single runs and comparisons; []: none.",
    )


@dataclass(frozen=True)
class ClaimSettings(Spec, kind="claim"):
    """What is claimed of one number of a run before it is run; the run says whether that holds."""

    endpoint: str | None = field(
        None,
        science=False,
        help="The number: an endpoint that the experiment declares, or a headline metric; of a comparison one of its "
        "endpoints, ENDPOINT@GROUP where it has several groups. null: nothing is claimed.",
    )
    direction: str = field(
        "above",
        choices=("above", "below", "differs", "none"),
        science=False,
        help="above: larger than smallest; below: smaller than minus that; differs: either; none: within.",
    )
    smallest: float = field(0.0, low=0.0, science=False, help="The smallest effect of interest, in the number's unit.")
    alpha: float = field(
        0.05, low=0.0, high=1.0, science=False, help="Level; the interval that answers must have 1 - alpha."
    )

    def check(self) -> None:
        """Refuse a claim of no effect without a size that counts, and a level at an end of its range.

        Raises:
            ConfigError: If one is made.
        """
        if self.direction == "none" and self.smallest == 0 and self.endpoint is not None:
            raise ConfigError("ClaimSettings.smallest: a claim of no effect needs the smallest effect that would count")
        if not 0 < self.alpha < 1:
            raise ConfigError(f"ClaimSettings.alpha: must lie between 0 and 1, got {self.alpha:g}")


@dataclass(frozen=True)
class Settings(Spec, kind="settings"):
    """What every run has, whatever it does.

    Example:
        >>> Settings(seed=3).seed
        3
    """

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
    workers: int | str | None = field(
        None,
        science=False,
        help="Processes that share the jobs of a sweep: a number, or auto (one for each processor, or place on a GPU); "
        "null: auto where earlier runs tell that it saves at least 30 s, else 1.",
    )
    sweep: SweepSettings = field(
        SweepSettings(), science=False, help="What a sweep does with jobs that failed, and how many share a GPU."
    )
    figures: FigureSettings = field(FigureSettings(), science=False, help="What figures are kept as.")
    claim: ClaimSettings = field(ClaimSettings(), science=False, help="What is claimed of the run beforehand.")
    parent_hypothesis: str | None = field(
        None, science=False, help="Name of the hypothesis that the run bears on; paribus runs --hypothesis lists them."
    )

    def check(self) -> None:
        """Check the choice of the checkpoint and the number of workers."""
        if self.workers not in (None, AUTO) and (not isinstance(self.workers, int) or self.workers < 1):
            raise ConfigError(f"Settings.workers: wants a number from 1 on, or auto, got {self.workers!r}")
        if self.checkpoint not in CHECKPOINTS[:-1] and not _EPOCH.fullmatch(self.checkpoint):
            raise ConfigError(
                f"Settings.checkpoint: no such choice {self.checkpoint!r}; {nearest(self.checkpoint, CHECKPOINTS)}"
            )
