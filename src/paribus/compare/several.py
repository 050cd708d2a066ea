"""Several runs of one measurement on one trained model: repeats, or runs that differ in a setting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from paribus.compare.endpoints import Unit, unit
from paribus.compare.values import setting_text, value_of
from paribus.compare.where import fits
from paribus.errors import ExperimentError
from paribus.experiments.setup_runs import CollectedRun

NO_SETTING = ("seed", "model", "model.run", "data", "training", "experiment", "stats", "reuse", "dry_run")
NO_SETTING_OF = ("tracking.", "device.name", "device.batch_limit")
"""Params that are names or paths: equal measurements may differ in them."""
MOST_SHOWN = 4


def one_each(what: str, found: Iterable[CollectedRun], runs: Sequence[CollectedRun]) -> list[str]:
    """Return the id of the run to read for every trained model: the only one, or the latest of one identity.

    Args:
        what: What is read, for the message.
        found: The runs that measured it.
        runs: All runs that are compared; a suggested restriction must leave some of every type.

    Raises:
        ExperimentError: If two runs of one model differ in a setting; it lists them and restrictions that decide.
    """
    by_model: dict[Unit, list[CollectedRun]] = {}
    for run in found:
        by_model.setdefault(unit(run), []).append(run)
    crowded = {model: several for model, several in by_model.items() if len({run.identity for run in several}) > 1}
    if crowded:
        raise ExperimentError(_refusal(what, crowded, runs))
    return [max(several, key=lambda run: run.started_at or "").run_id for several in by_model.values()]


def _refusal(what: str, crowded: Mapping[Unit, Sequence[CollectedRun]], runs: Sequence[CollectedRun]) -> str:
    names = differing(crowded)
    shown = []
    for (condition, n_train, seed), several in list(crowded.items())[:MOST_SHOWN]:
        size = f" n={n_train}" if n_train is not None else ""
        listed = "; ".join(f"run {run.run_id[:8]} ({_settings(run, names)})" for run in several[:MOST_SHOWN])
        shown.append(f"{condition}{size} seed {seed}: {listed}")
    more = f" and {len(crowded) - MOST_SHOWN} more" if len(crowded) > MOST_SHOWN else ""
    count = f"{len(crowded)} trained model was" if len(crowded) == 1 else f"{len(crowded)} trained models were"
    return (
        f"{what}: {count} measured by runs that differ: {' | '.join(shown)}{more}. "
        f"Say which: {' or '.join(_offers(names, crowded, runs))}"
    )


def differing(crowded: Mapping[Unit, Sequence[CollectedRun]]) -> list[str]:
    """Return the names of the settings in which runs of one model differ, those of the experiment first."""
    names = {"own_seed", *(key for runs in crowded.values() for run in runs for key in run.params)}
    settings = [name for name in names if name not in NO_SETTING and not name.startswith(NO_SETTING_OF)]
    unequal = [
        name
        for name in settings
        if any(len({setting_text(value_of(run, name)) for run in runs}) > 1 for runs in crowded.values())
    ]
    return sorted(unequal, key=lambda name: (not name.startswith("experiment."), name))


def _settings(run: CollectedRun, names: Sequence[str]) -> str:
    said = [f"{name}={value_of(run, name)}" for name in names if value_of(run, name) is not None][:MOST_SHOWN]
    return ", ".join(said) or "no setting that its params tell"


def _offers(
    names: Sequence[str], crowded: Mapping[Unit, Sequence[CollectedRun]], runs: Sequence[CollectedRun]
) -> list[str]:
    """Return restrictions that leave one run of each model and some of every type; else the runs by their ids."""
    kinds = {run.experiment_type for run in runs}
    offers = []
    for name, value in _candidates(names, crowded):
        where = [f"{name}={value}"]
        left = [run for run in runs if fits(run, where)]
        ids = {run.run_id for run in left}
        alone = all(len({run.identity for run in several if run.run_id in ids}) == 1 for several in crowded.values())
        if alone and {run.experiment_type for run in left} == kinds:
            offers.append(f"experiment.where=[{where[0]}]")
    return offers[:3] or [
        "experiment.runs=[ID,...] with the ids of the runs to compare (a study's stands for its steps)"
    ]


def _candidates(names: Sequence[str], crowded: Mapping[Unit, Sequence[CollectedRun]]) -> Iterator[tuple[str, str]]:
    for name in (*names, "study", "sweep"):
        values = {value_of(run, name) for several in crowded.values() for run in several if _plain(value_of(run, name))}
        yield from (
            (name, str(value).lower() if isinstance(value, bool) else str(value)) for value in sorted(values, key=str)
        )


def _plain(value: Any) -> bool:
    """Return whether a value can be written in a restriction as it is."""
    return isinstance(value, bool | int | float) or (
        isinstance(value, str) and value != "" and not set(value) & set(" ,[]{}()'\"\\:$=")
    )
