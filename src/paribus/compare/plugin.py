"""Setup of comparisons, which work on the kept runs of a study."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.errors import ConfigError, DataError
from paribus.experiments.asked import Asked
from paribus.experiments.base import KEPT_RUNS
from paribus.experiments.setup_runs import FINISHED, CollectedRun, RunsSetup
from paribus.experiments.subject import MadeFrom, SubjectPlugin
from paribus.results.files import PARTIAL_FILE, RESULT_FILE, TABLE_FOLDER
from paribus.results.stored import StoredResult
from paribus.tracking.artifacts import local_path
from paribus.tracking.identity import digest
from paribus.tracking.kept import MODEL_TAG
from paribus.tracking.steps import steps_of

if TYPE_CHECKING:
    from paribus.results.schema import Aggregates
    from paribus.tracking.interface import Store
    from paribus.tracking.kept import KeptRun

log = logging.getLogger("paribus")
RECENT = 16
"""Number of parsed results that are cached."""
NOT_COMPARED = ("comparison",)


class KeptRuns(SubjectPlugin):
    """Sets comparisons up."""

    name = KEPT_RUNS

    def validate(self, asked: Asked) -> None:
        """Check that there can be runs to compare.

        Raises:
            ConfigError: If runs are not tracked, or the comparison asks for something that none of them has.
        """
        experiment = asked.experiment
        if not asked.tracked:
            raise ConfigError(f"tracking=off: {experiment.type} compares kept runs, and none are kept")
        if asked.step is not None:  # a study's comparison is validated before its runs exist
            return
        found = collect(asked.store, asked.runs)
        if not any(run.status == FINISHED for run in found):
            raise ConfigError(
                f"{experiment.type}: there is no finished run to compare in MLflow experiment "
                f"{asked.study!r}; name the study's: tracking.experiment=STUDY"
            )
        experiment.validate(RunsSetup(**asked.basics, runs=found))

    def setup(self, asked: Asked) -> RunsSetup:
        """Collect the runs of the MLflow experiment; their tables are read on first use."""
        return RunsSetup(**asked.basics, runs=collect(asked.store, asked.runs))

    def made_from(self, asked: Asked) -> MadeFrom:
        """Return a digest of the finished runs that a comparison would be made from, and the outermost of them."""
        kept = {run.run_id: run for run in asked.store.runs()}
        found = [run.run_id for run in collect(asked.store, asked.runs) if run.status == FINISHED]
        outermost = tuple(dict.fromkeys(_top(run_id, kept) for run_id in found))
        return MadeFrom(digest({"runs": sorted(found)}), asked.runs or outermost)


RUNS = KeptRuns()


def collect(store: Store, among: Iterable[str] = ()) -> list[CollectedRun]:
    """Return the runs that may be compared, of every status, the earliest first.

    Args:
        store: Where runs are kept.
        among: Ids, or their first digits; that of a sequence stands for its steps. All runs of the study if empty.

    Raises:
        ConfigError: If there is no such run, or it is in another MLflow experiment.
    """
    kept = {run.run_id: run for run in reversed(store.runs())}
    ids = _among(store, kept, tuple(among))
    return [
        _collected(store, run, kept)
        for run in kept.values()
        if run.tags.get("evidence") not in NOT_COMPARED and (ids is None or run.run_id in ids)
    ]


def _among(store: Store, kept: Mapping[str, KeptRun], named: tuple[str, ...]) -> set[str] | None:
    """Return the ids of the named runs, of those nested in them, and of the steps that they reused."""
    if not named:
        return None
    found: set[str] = set()
    for name in named:
        run = kept.get(name) or store.get(name)
        if run.run_id not in kept:
            raise ConfigError(f"experiment.runs: run {name} is in MLflow experiment {run.experiment!r}, not in this")
        found |= {run.run_id, *(step.run_id for step in steps_of(store, run))}
    while nested := {run.run_id for run in kept.values() if run.parent in found} - found:
        found |= nested
    return found


def _top(run_id: str, kept: Mapping[str, KeptRun]) -> str:
    while (parent := kept[run_id].parent) in kept:
        run_id = str(parent)
    return run_id


def _collected(store: Store, run: KeptRun, kept: Mapping[str, KeptRun]) -> CollectedRun:
    """Return a kept run as a run of a comparison.

    Args:
        store: Where it is kept.
        run: The run.
        kept: The runs of the study by their ids, for values that a run takes from its model's training.
    """
    model = run.tags.get("model_run")
    trained = kept.get(model) if model else None
    size: Any = run.tags.get("n_train")
    if size is None:
        size = trained.tags.get("n_train") if trained is not None else run.params.get("data.n_train")
    whose = f"run {run.run_id[:8]} ({run.name})"
    aggregates = Lazy(lambda: _flat_aggregates(_stored(store, run).aggregates()), whose)
    return CollectedRun(
        run_id=run.run_id,
        identity=run.identity or run.run_id,
        experiment_type=run.experiment_type or "",
        status=run.status,
        condition=run.tags.get("training"),
        seed=_model_seed(run, trained),
        n_train=_integer(size),
        experiment_version=_integer(run.tags.get("experiment_version")) or 1,
        params=run.params,
        metrics=run.metrics,
        aggregates=aggregates,
        tables=StoredTables(lambda: _stored(store, run), whose),
        code_version=run.tags.get("code_version"),
        parent=run.parent,
        sweep=run.tags.get("sweep"),
        started_at=run.started_at.isoformat(),
        own_seed=_integer(run.tags.get("seed")),
        model_run=model or (run.run_id if run.tags.get(MODEL_TAG) == "true" else None),
        tags=run.tags,
        origin=Lazy(lambda: _stored(store, run).provenance(), whose),
    )


def _model_seed(run: KeptRun, trained: KeptRun | None) -> int | None:
    """Return the seed of the model, from the run itself or from the run that trained the model."""
    told = (run if trained is None or "model_seed" in run.tags else trained).tags
    return _integer(told.get("model_seed", told.get("seed")))


class Lazy(Mapping[str, Any]):
    """A mapping that is loaded on first use; empty, with a warning, where its files are missing."""

    def __init__(self, make: Callable[[], Mapping[str, Any]], whose: str = "") -> None:
        """Store the loader and the name of the run."""
        self._make = make
        self._whose = whose
        self._made: Mapping[str, Any] | None = None

    def _get(self) -> Mapping[str, Any]:
        if self._made is None:
            try:
                self._made = self._make()
            except DataError as error:
                log.warning("%s: %s; nothing is taken from it", self._whose, error)
                self._made = {}
        return self._made

    def __getitem__(self, key: str) -> Any:
        """Return one value."""
        return self._get()[key]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._get())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._get())


class StoredTables(Lazy):
    """The tables of a run, parsed on first use; single columns can be read without parsing all."""

    def __init__(self, read: Callable[[], StoredResult], whose: str) -> None:
        """Store the reader and the name of the run."""
        super().__init__(lambda: {name: table.frame for name, table in read().whole().tables.items()}, whose)
        self._read = read

    def columns(self, name: str) -> dict[str, list[Any]] | None:
        """Return the cells of a table by column, uncached; None if there is no such table, or its file is missing."""
        try:
            stored = self._read()
            return stored.columns(name) if name in stored.names() else None
        except DataError as error:
            log.warning("%s: %s; nothing is taken from it", self._whose, error)
            return None


@lru_cache(maxsize=RECENT)
def _parsed(path: Path, changed: int) -> StoredResult:
    return StoredResult(path)


def _stored(store: Store, run: KeptRun) -> StoredResult:
    """Return the parsed result of a run, or its partial result; the last few are cached.

    Raises:
        DataError: If its files are missing or unreadable.
    """
    folder = local_path(run.artifact_uri)
    name = RESULT_FILE if run.status == FINISHED else PARTIAL_FILE
    path = None if folder is None else folder / name
    if path is None or not path.is_file():
        path = store.download(run.run_id, name)
        if '"file":' in path.read_text(encoding="utf-8", errors="replace"):
            store.download(run.run_id, TABLE_FOLDER)
    return _parsed(path, path.stat().st_mtime_ns)


def _flat_aggregates(found: Aggregates) -> dict[str, Any]:
    named = {f.name: getattr(found, f.name) for f in fields(found) if f.name != "custom"}
    return {**{name: value for name, value in named.items() if value is not None}, **found.custom}


def _integer(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
