"""Selection of comparable runs of a study, with a sentence about each kind left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from paribus.compare.where import fits
from paribus.experiments.setup_runs import FINISHED, CollectedRun
from paribus.results.words import counted


@dataclass(frozen=True)
class Selection:
    """Runs that may be compared.

    Attributes:
        runs: Finished, one per identity, of one version per experiment type.
        left_out: What was left out or found, one sentence each.
        mixed: Sentences about mixed code; a comparison may refuse them.
    """

    runs: tuple[CollectedRun, ...]
    left_out: tuple[str, ...]
    mixed: tuple[str, ...]


def candidates(runs: Iterable[CollectedRun], experiment_types: Sequence[str] | None = None) -> list[CollectedRun]:
    """Return the runs of some types (all if None), with values that a run lacks taken from its parents."""
    everything = {run.run_id: run for run in runs}
    known = [inherited(run, everything) for run in everything.values()]
    return [run for run in known if experiment_types is None or run.experiment_type in experiment_types]


def select(
    runs: Iterable[CollectedRun], experiment_types: Sequence[str] | None = None, where: Sequence[str] = ()
) -> Selection:
    """Return the comparable runs.

    Condition, seed, training-set size and params that a nested run does not carry are taken from its parents.
    Runs that did not finish are left out; of one identity the latest stays; of each experiment type the newest version,
    because numbers of different versions do not mean the same. Sentences are about the requested types only.

    Args:
        runs: Runs of every status.
        experiment_types: Types to keep; all if None.
        where: Conditions that a run must fulfil (see :mod:`paribus.compare.where`).
    """
    known = [run for run in candidates(runs, experiment_types) if fits(run, where)]
    notes = _unfinished(known)
    finished = [run for run in known if run.status == FINISHED]
    unique, repeated = _latest(finished)
    if repeated:
        notes.append(f"{counted(repeated, 'run')} repeated an identity that a later run has; the latest was used.")
    current, older = _newest_versions(unique)
    notes.extend(older)
    return Selection(tuple(current), tuple(notes), tuple(_mixed_code(current)))


def with_one_type(runs: Sequence[CollectedRun], names: Sequence[str]) -> Sequence[CollectedRun]:
    """Return the runs with 1.0 instead of 1 in a param that is 1.0 in other runs: both are one group.

    Args:
        runs: All runs.
        names: Params, by their names or the last part of these.

    Example:
        >>> some = [CollectedRun("r", "i", "ablate", params={"a.b": each}) for each in (1, 1.0, 2)]
        >>> [run.params["a.b"] for run in with_one_type(some, ["b"])]
        [1.0, 1.0, 2]
    """
    known = set[str]().union(*(run.params for run in runs))
    named = [key for key in known if key in names or key.rpartition(".")[2] in names]
    points = {key: {run.params[key] for run in runs if type(run.params.get(key)) is float} for key in named}
    points = {key: values for key, values in points.items() if values}

    def floats(run: CollectedRun) -> dict[str, float]:
        mine = {key: run.params.get(key) for key in points}
        return {key: float(value) for key, value in mine.items() if type(value) is int and value in points[key]}

    return [replace(run, params={**run.params, **floats(run)}) for run in runs] if points else runs


def inherited(run: CollectedRun, known: dict[str, CollectedRun]) -> CollectedRun:
    """Return ``run`` with condition, seed, size and params of its nearest parent where it has none."""
    parent, seen = run.parent, {run.run_id}
    while parent in known and parent not in seen:
        seen.add(parent)
        above = known[parent]
        run = replace(
            run,
            condition=above.condition if run.condition is None else run.condition,
            seed=above.seed if run.seed is None else run.seed,
            n_train=above.n_train if run.n_train is None else run.n_train,
            params={k: v for k, v in above.params.items() if not k.startswith("experiment.")} | dict(run.params),
        )
        parent = above.parent
    return run


def _unfinished(runs: Sequence[CollectedRun]) -> list[str]:
    ended: dict[tuple[str, str], list[CollectedRun]] = {}
    for run in runs:
        if run.status != FINISHED:
            ended.setdefault((run.status, run.experiment_type), []).append(run)
    return [
        f"{counted(len(found), 'run')} of {kind}{_conditions(found)} with status {status} left out."
        for (status, kind), found in sorted(ended.items())
    ]


def _conditions(runs: Sequence[CollectedRun]) -> str:
    """Return the training conditions of runs in brackets; empty where they have none."""
    names = sorted({run.condition for run in runs if run.condition is not None})
    return f" ({', '.join(names)})" if names else ""


def _latest(runs: Sequence[CollectedRun]) -> tuple[list[CollectedRun], int]:
    best: dict[str, CollectedRun] = {}
    for run in sorted(runs, key=lambda each: each.started_at or ""):
        best[run.identity] = run
    return list(best.values()), len(runs) - len(best)


def _newest_versions(runs: Sequence[CollectedRun]) -> tuple[list[CollectedRun], list[str]]:
    newest: dict[str, int] = {}
    for run in runs:
        newest[run.experiment_type] = max(run.experiment_version, newest.get(run.experiment_type, 0))
    kept = [run for run in runs if run.experiment_version == newest[run.experiment_type]]
    gone = Counter(run.experiment_type for run in runs if run.experiment_version != newest[run.experiment_type])
    notes = [
        f"{counted(n, 'run')} of {kind} left out: made with an older version of the experiment than {newest[kind]}."
        for kind, n in sorted(gone.items())
    ]
    return kept, notes


def _mixed_code(runs: Sequence[CollectedRun]) -> list[str]:
    notes = []
    for kind in sorted({run.experiment_type for run in runs}):
        counts = Counter(str(run.code_version or "unknown") for run in runs if run.experiment_type == kind)
        if len(counts) > 1:
            listed = ", ".join(f"{version[:10]} ({n})" for version, n in counts.most_common(4))
            notes.append(f"Runs of {kind} were made by {len(counts)} versions of the code: {listed}.")
    return notes
