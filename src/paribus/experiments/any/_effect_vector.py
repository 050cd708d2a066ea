"""The effect vectors of the generic experiments: the rows of a table, as validation compares them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.errors import ConfigError
from paribus.experiments.any._readouts import KL, readout_of
from paribus.experiments.any._session import At, Rows, at_checkpoints, look_up, rows_of
from paribus.experiments.any.generic import Generic
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import FEW_CLUSTERS, LEAST_TESTED, EffectVector, Promised
from paribus.experiments.setup import NetworkSetup
from paribus.measure.design import Design
from paribus.measure.executor import Executor
from paribus.measure.factor import InputUnits, Units
from paribus.methods.ablate import remaining, singles
from paribus.methods.contrast import to_baseline
from paribus.methods.support import Support, support
from paribus.stats.clusters import ClusterSums


@dataclass(frozen=True)
class RowDesign:
    """What the rows of a table compare, before anything is measured.

    Attributes:
        design: The conditions.
        weights: The conditions that each row uses: those whose weight is not 0 ``[rows, conditions]``.
        about: Which of contexts ``[b]`` each row is about ``[rows, b]``; None: all.
        entries: How many entries the vector has at most, from the number of rows that enough contexts allow.
        beside: What the rows of further tables compare, by their names: such a table may stay empty.
    """

    design: Design
    weights: Floats
    about: Callable[[Ints], Bools] | None = None
    entries: Callable[[int], int] = int
    beside: Mapping[str, Floats] = field(default_factory=dict)

    def empty(self, executor: Executor, rows: Rows) -> list[str]:
        """Return the further tables of which no row is legal in any context."""
        further = {name: replace(self, weights=weights) for name, weights in self.beside.items()}
        return [name for name, one in further.items() if not one.support(executor, rows, enough=1).n.any()]

    def support(self, executor: Executor, rows: Rows, *, enough: int, enough_clusters: int = 1) -> Support:
        """Count the contexts that are legal in every condition of a row, as far as is asked."""
        return support(
            executor,
            self.design,
            self.weights,
            rows.reported,
            enough=enough,
            enough_clusters=enough_clusters,
            about=self.about,
        )


def alone(units: Units, entries: Callable[[int], int] = int) -> RowDesign:
    """Return rows that each compare all units with all but one; units of a network can be removed in any context."""
    k = len(units.names)
    if not isinstance(units, InputUnits):  # one row for all of them: they may be tens of thousands
        return RowDesign(Design(description=units.name), np.ones((1, 1)), entries=lambda n: entries(n * k))
    return RowDesign(units.design(remaining(singles(k))), to_baseline(k + 1), entries=entries)


def refuse_illegal(experiment: Generic, setup: NetworkSetup, compared: RowDesign) -> None:
    """Refuse rows of which none is legal in any context.

    Raises:
        ConfigError: If there are only such.
    """
    rows = rows_of(experiment, setup)
    if not compared.support(setup.executor(), rows, enough=1).n.any():
        raise ConfigError(
            f"experiment.factor: none of the {len(rows.reported)} contexts that are reported is legal with "
            f"{compared.design.description} changed; choose other levels, or another split"
        )
    for name in compared.empty(setup.executor(), rows):
        log.warning("the table %s will be empty: no context that is reported is legal in all that it compares", name)


def promised(experiment: Generic, setup: NetworkSetup, compared: RowDesign | int) -> Promised:
    """Return what is known of a vector of the contexts that are reported, before anything is measured.

    Args:
        experiment: Says what is read.
        setup: Has the contexts.
        compared: What the rows compare; a number of rows where activations are edited, which is legal in all contexts.
    """
    rows = rows_of(experiment, setup)
    kind, _ = readout_of(experiment, setup, setup.executor())
    n_contexts, n_clusters = len(rows.reported), len(np.unique(setup.contexts.cluster[rows.reported]))
    if isinstance(compared, int):
        return Promised(compared, n_clusters, n_contexts, signed=kind != KL, complete=rows.complete)
    found = compared.support(setup.executor(), rows, enough=LEAST_TESTED, enough_clusters=FEW_CLUSTERS)
    n_entries = compared.entries(found.n_with(LEAST_TESTED))
    n_clusters = min(n_clusters, found.n_clusters)
    return Promised(n_entries, n_clusters, n_contexts, signed=kind != KL, complete=rows.complete)


log = logging.getLogger("paribus")
E = TypeVar("E", bound=Generic)


def by_rows(
    compared: Callable[[E, NetworkSetup], RowDesign | int],
    rows: Callable[[E, At], tuple[Sequence[str], ClusterSums]],
    on: Callable[[NetworkSetup], NetworkSetup] = lambda setup: setup,
) -> tuple[
    Callable[[E, NetworkSetup], None],
    Callable[[E, NetworkSetup, Recorder], EffectVector],
    Callable[[E, NetworkSetup], Promised],
]:
    """Return ``validate``, ``effect_vector`` and ``promised`` of a type, from what its rows compare.

    Args:
        compared: Says it, with everything that is named looked up; a number of rows where all are legal anywhere.
        rows: Measures them: their labels, and the paired differences.
        on: Turns the setup into that of the contexts that are meant.
    """

    def validate(experiment: E, setup: NetworkSetup) -> None:
        setup = on(setup)
        look_up(experiment, setup)
        found = compared(experiment, setup)
        if isinstance(found, RowDesign):
            refuse_illegal(experiment, setup, found)

    def effect_vector(experiment: E, setup: NetworkSetup, recorder: Recorder) -> EffectVector:
        at = at_one(experiment, on(setup), recorder)
        return vector_of(at, *rows(experiment, at))

    def known(experiment: E, setup: NetworkSetup) -> Promised:
        return promised(experiment, on(setup), compared(experiment, on(setup)))

    return validate, effect_vector, known


def at_one(experiment: Generic, setup: NetworkSetup, recorder: Recorder) -> At:
    """Return the one chosen network, with the cheapest statistics, as only the differences are used."""
    stats = replace(setup.stats, n_null=0, n_permutations=99, n_bootstrap=100)
    (at,) = at_checkpoints(experiment, replace(setup, stats=stats), recorder)
    return at


def vector_of(at: At, labels: Sequence[str], sums: ClusterSums) -> EffectVector:
    """Return rows as a vector; clusters that support none of them are left out.

    Args:
        at: The network, and which contexts were measured.
        labels: Name of each row.
        sums: The paired differences, by cluster.
    """
    rows = at.rows
    at.recorder.diagnose(n_contexts_tested=len(rows.reported))
    some = np.flatnonzero(sums.counts.any(axis=0))
    kept = replace(sums, sums=_of(sums.sums, some), counts=_of(sums.counts, some))
    return EffectVector(
        labels=tuple(labels),
        values=sums.means,
        sums=kept,
        n_contexts=len(rows.reported),
        about={"readout": at.kind, "split": rows.said, "n_fitted_on": len(rows.fit)},
    )


def _of(matrix: Floats, columns: np.ndarray) -> Floats:
    return matrix if len(columns) == matrix.shape[1] else np.ascontiguousarray(matrix[:, columns])
