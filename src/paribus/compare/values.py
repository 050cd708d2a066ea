"""Values of a run by name: a field, a param, a tag, a metric or an aggregate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from paribus.experiments.setup_runs import CollectedRun
from paribus.tracking.identity import canonical

FIELDS = (
    "seed", "own_seed", "model_run", "n_train", "experiment_type", "sweep", "code_version", "run_id", "parent",
)  # fmt: skip
"""Fields of a run other than params and numbers, by the names used to restrict and group."""


def value_of(run: CollectedRun, name: str) -> Any:
    """Return the value of a name in a run: a field, a param, a metric or an aggregate; else None.

    ``training`` and ``condition`` are the training condition, ``seed`` is the trained model's and ``own_seed`` the
    run's, ``started`` when it began, ``tag.NAME`` a tag; a param may be named by its last part if that is unique.

    Example:
        >>> run = CollectedRun("r", "i", "ablate", seed=3, params={"experiment.place": "fc"})
        >>> value_of(run, "seed"), value_of(run, "experiment.place"), value_of(run, "no such thing")
        (3, 'fc', None)
    """
    if name in ("training", "condition"):
        return run.condition
    if name == "started":
        return run.started_at
    if name in FIELDS:
        return getattr(run, name)
    if name.startswith("tag."):
        return run.tags.get(name.removeprefix("tag."))
    if name in run.params:
        return run.params[name]
    ends = [key for key in run.params if key.rpartition(".")[2] == name]
    if len(ends) == 1:
        return run.params[ends[0]]
    # Aggregates last: they are read from the files of the run.
    return run.metrics[name] if name in run.metrics else run.aggregates.get(name)


def setting_text(value: Any) -> str:
    """Return a setting as the text by which equal ones are known: 1.0 is 1, as in the identity of a run.

    Example:
        >>> setting_text(1.0), setting_text([0.5, 2.0]), setting_text("1.0"), setting_text(None)
        ('1', '[0.5, 2]', '1.0', 'None')
    """
    return str(canonical(value))


def names_of(runs: Sequence[CollectedRun]) -> list[str]:
    """Return all names that a restriction or a grouping may use without reading a file of a run."""
    found = {key for run in runs for key in (*run.params, *run.metrics, *(f"tag.{tag}" for tag in run.tags))}
    return [*sorted(found), "training", "started", *FIELDS]


def number_of(run: CollectedRun, metric: str) -> tuple[float, bool]:
    """Return a metric or aggregate of a run as a number (NaN if it has none) and whether it is binary."""
    if math.isfinite(run.metrics.get(metric, math.nan)):  # a number of the run list needs no file of the run
        return float(run.metrics[metric]), False
    for source in (run.aggregates, run.metrics):
        value = source.get(metric)
        if isinstance(value, bool | int | float):
            return float(value), isinstance(value, bool)
    return float("nan"), False
