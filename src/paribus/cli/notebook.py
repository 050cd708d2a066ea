"""The same requests from Python: ``paribus.run([...])``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.config.compose import jobs
from paribus.errors import ConfigError
from paribus.report.notebook import show_results
from paribus.running.handed import with_objects
from paribus.running.run import run_job
from paribus.running.validate import validate

if TYPE_CHECKING:
    from torch import nn

    from paribus.measure import Contexts
    from paribus.results.schema import Result


def run(
    overrides: Sequence[str],
    *,
    model: nn.Module | None = None,
    data: Contexts | None = None,
    config_dir: str | Path | None = None,
) -> Result:
    """Run one experiment, exactly as ``paribus OVERRIDES`` does on the command line, and return its result.

    A module and contexts of your own can be passed as objects. They are identified by content (weights, settings and
    source of the module; arrays of the contexts), are never changed, and are kept with the run up to 256 MiB each.

    Args:
        overrides: Words such as ``experiment=domain_swap`` or ``seed=3``.
        model: A network in place of the ``model`` group.
        data: Contexts in place of the ``data`` group.
        config_dir: A folder with further options.

    Raises:
        ConfigError: If the request is invalid; nothing was run or written then.
        DataError: If its data are missing or unfit.
        CheckpointError: If its checkpoint is missing or does not fit.
        ExperimentError: If the experiment failed.

    Example:
        >>> words = ["feature=threshold", "data.n_builds=40", "stats=quick", "tracking=off"]
        >>> result = run(["experiment=family_1d_sweep", "experiment.family=special_charge_up", *words])
        >>> result.tables["rung_deltas"].frame[["rung", "mean_delta"]].shape
        (10, 2)

        A network and contexts of your own, here an ablation of single units of a hidden layer:

        >>> import paribus, torch
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> contexts = paribus.Contexts(inputs=torch.randn(40, 3), label=torch.arange(40) % 2)
        >>> words = ["experiment=ablate", "experiment.place=1", "factor@experiment.factor=units"]
        >>> result = run([*words, "stats=quick", "tracking=off"], model=net, data=contexts)
        >>> result.subject, result.model
        ('arrays', 'Sequential')
    """
    if isinstance(overrides, str):
        raise ConfigError(f"paribus.run wants a list of words, such as [{overrides!r}], got one text")
    (job,) = jobs(list(overrides), config_dirs=() if config_dir is None else (config_dir,))
    with with_objects(job, model, data) as given:
        validate(given)
        if given.dry_run:
            raise ConfigError("dry_run=true: the request is valid, but nothing is run, so there is no result to return")
        result = run_job(given)
    show_results()
    return result
