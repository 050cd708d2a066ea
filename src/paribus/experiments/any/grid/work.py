"""The work of a grid."""

from __future__ import annotations

from collections.abc import Sequence

from paribus.experiments.any._effect_vector import RowDesign, by_rows
from paribus.experiments.any._effects import Part, Reported, effects, n_established, summed_up
from paribus.experiments.any._figures import heatmap
from paribus.experiments.any._session import At, at_checkpoints, factor_of
from paribus.experiments.any.grid.spec import Grid
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.measure.executor import Executor
from paribus.measure.factor import Factor, crossed
from paribus.methods.grid import Gridded, grid, interaction_weights
from paribus.results.schema import Aggregates
from paribus.stats.clusters import ClusterSums

COLUMNS = {"first": "level of the first factor", "second": "level of the second factor"}
JOINT = {
    **COLUMNS,
    "mean_delta": "mean of y(both) - y(first alone) - y(second alone) + y(neither) over contexts",
}


def run(experiment: Grid, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Measure the grid at every checkpoint; hand over ``effects`` (cells), ``interactions`` and their heatmaps.

    Raises:
        ConfigError: If something that is named does not exist, or the two cannot be crossed.
        DataError: If no contexts are left to fit on or to report.
    """
    cells: list[Part] = []
    joint: list[Part] = []
    for at in at_checkpoints(experiment, setup, recorder):
        one, other, found = _measured(experiment, at)
        cells.append(Part.of(at, _cells(one, other)[1:], found.cells, found.means.ravel()[1:]))
        joint.append(Part.of(at, _both(one, other), found.joint))
    to = Reported.of(at, COLUMNS)
    title = f"{one.name} and {other.name}"
    baseline = f"{one.labels[0]} x {other.labels[0]}"
    frame = effects(to, cells, what=f"One row per checkpoint and combination of {title}, against {baseline}.")
    says = f"What {title} do together beyond the sum of each alone, one row per checkpoint and combination."
    pairs = effects(Reported.of(at, JOINT), joint, name="interactions", what=says, divergence=None)
    for table, heading in (("effects", "Effect of"), ("interactions", "Beyond the sum:")):
        orders = {"x_order": list(other.labels), "y_order": list(one.labels)}
        looks = {"value_label": f"change of {to.kind}", "xlabel": other.name, "ylabel": one.name, **orders}
        heatmap(to, frame, table, f"grid_{table}", f"{heading} {title}", **looks)
    return summed_up(
        to,
        frame,
        factor=one.name,
        other=other.name,
        baseline=baseline,
        baseline_mean=float(found.means[0, 0]),
        n_interactions_established=n_established(pairs),
    )


def _rows(experiment: Grid, at: At) -> tuple[Sequence[str], ClusterSums]:
    """Measure what every combination does beyond the sum of each alone (the rows of ``interactions``)."""
    one, other, found = _measured(experiment, at)
    return [row["level"] for row in _both(one, other)], found.joint.sums


def _compared(experiment: Grid, setup: NetworkSetup) -> RowDesign:
    """Return what an interaction compares: both, each alone, and neither."""
    one, other = _both_factors(experiment, setup, setup.executor())
    return RowDesign(crossed(one, other), interaction_weights(one.n_levels, other.n_levels))


def _both_factors(experiment: Grid, setup: NetworkSetup, executor: Executor) -> tuple[Factor, Factor]:
    return factor_of(experiment, setup, executor), factor_of(experiment, setup, executor, "other")


def _measured(experiment: Grid, at: At) -> tuple[Factor, Factor, Gridded]:
    one, other = (each.fit(at.executor, at.rows.fit) for each in _both_factors(experiment, at.setup, at.executor))
    return one, other, at.ask(grid, one, other, stream="grid")


def _both(one: Factor, other: Factor) -> list[dict[str, str]]:
    """Return the combinations in which neither factor is at its baseline."""
    return [row for row in _cells(one, other) if row["first"] != one.labels[0] and row["second"] != other.labels[0]]


def _cells(one: Factor, other: Factor) -> list[dict[str, str]]:
    """Return what each combination is, the second factor's levels going fastest."""
    pairs = [(a, b) for a in one.labels for b in other.labels]
    return [{"level": f"{a} x {b}", "first": a, "second": b} for a, b in pairs]


validate, effect_vector, promised = by_rows(_compared, _rows)
