"""The same requests from Python: ``paribus.run([...])``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.config.compose import jobs
from paribus.errors import ConfigError
from paribus.report.notebook import show_results
from paribus.running.run import run_job
from paribus.running.validate import validate

if TYPE_CHECKING:
    from paribus.results.schema import Result


def run(overrides: Sequence[str], *, config_dir: str | Path | None = None) -> Result:
    """Run one experiment, exactly as ``paribus OVERRIDES`` does on the command line, and return its result.

    Args:
        overrides: Words such as ``experiment=domain_swap`` or ``seed=3``.
        config_dir: A folder with further options.

    Raises:
        ConfigError: If the request is wrong; nothing was run or written then.
        DataError: If its data are missing or unfit.
        CheckpointError: If its checkpoint is missing or does not fit.
        ExperimentError: If the experiment failed.

    Example:
        >>> words = ["feature=threshold", "data.n_builds=40", "stats=quick", "tracking=off"]
        >>> result = run(["experiment=family_1d_sweep", "experiment.family=special_charge_up", *words])
        >>> result.tables["rung_deltas"].frame[["rung", "mean_delta"]].shape
        (10, 2)
    """
    if isinstance(overrides, str):
        raise ConfigError(f"paribus.run wants a list of words, such as [{overrides!r}], got one text")
    (job,) = jobs(list(overrides), config_dirs=() if config_dir is None else (config_dir,))
    validate(job)
    if job.dry_run:
        raise ConfigError("dry_run=true: the request is valid, but nothing is run, so there is no result to return")
    result = run_job(job)
    show_results()
    return result
