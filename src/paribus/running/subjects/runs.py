"""Comparisons: they work on the kept runs of a study."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from paribus.errors import ConfigError, DataError
from paribus.experiments.setup_runs import FINISHED, CollectedRun, RunsSetup
from paribus.running.setup import basics
from paribus.tracking.identity import digest

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.running.resolve import Resolved
    from paribus.tracking.interface import Store
    from paribus.tracking.kept import KeptRun

NOT_COMPARED = ("comparison",)


def validate(resolved: Resolved, store: Store) -> None:
    """Check that there can be runs to compare.

    Raises:
        ConfigError: If runs are not tracked.
    """
    if resolved.request.tracking.kind == "off":
        raise ConfigError(f"tracking=off: {resolved.request.experiment.type} compares kept runs, and none are kept")


def setup(resolved: Resolved, store: Store, *, identity: str) -> RunsSetup:
    """Collect the runs of the MLflow experiment; their tables are read when they are asked for."""
    return RunsSetup(**basics(resolved), runs=collect(store))


def collect(store: Store) -> list[CollectedRun]:
    """Return all runs that may be compared, of every status, the earliest first."""
    return [collected(store, run) for run in reversed(store.runs()) if run.tags.get("evidence") not in NOT_COMPARED]


def runs_digest(store: Store) -> str:
    """Return a digest of the finished runs that a comparison would be made from."""
    finished = sorted(run.run_id for run in collect(store) if run.status == FINISHED)
    return digest({"runs": finished})


def collected(store: Store, run: KeptRun) -> CollectedRun:
    """Return a kept run as a comparison sees it."""
    results = _Once(lambda: store.result(run.run_id))
    aggregates = Lazy(lambda: _flat_aggregates(results()))
    return CollectedRun(
        run_id=run.run_id,
        identity=run.identity or run.run_id,
        experiment_type=run.experiment_type or "",
        status=run.status,
        condition=run.tags.get("training"),
        seed=_integer(run.tags.get("seed")),
        n_train=_integer(run.tags.get("n_train", run.params.get("data.n_train"))),
        experiment_version=_integer(run.tags.get("experiment_version")) or 1,
        params=run.params,
        metrics=run.metrics,
        aggregates=aggregates,
        tables=Lazy(lambda: {name: table.frame for name, table in results().tables.items()}),
        code_version=run.tags.get("code_version"),
        parent=run.parent,
        sweep=run.tags.get("sweep"),
        started_at=run.started_at.isoformat(),
    )


class Lazy(Mapping[str, Any]):
    """A mapping that is made when it is first looked into; empty where its files are gone."""

    def __init__(self, make: Callable[[], Mapping[str, Any]]) -> None:
        """Remember how to make it."""
        self._make = make
        self._made: Mapping[str, Any] | None = None

    def _get(self) -> Mapping[str, Any]:
        if self._made is None:
            try:
                self._made = self._make()
            except DataError:
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


class _Once:
    """Calls a function once."""

    def __init__(self, make: Callable[[], Result]) -> None:
        self._make = make
        self._made: Result | None = None

    def __call__(self) -> Result:
        if self._made is None:
            self._made = self._make()
        return self._made


def _flat_aggregates(result: Result) -> dict[str, Any]:
    named = {f.name: getattr(result.aggregates, f.name) for f in fields(result.aggregates) if f.name != "custom"}
    return {**{name: value for name, value in named.items() if value is not None}, **result.aggregates.custom}


def _integer(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
