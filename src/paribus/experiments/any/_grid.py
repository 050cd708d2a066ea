"""The work of a grid."""

from __future__ import annotations

from paribus.experiments.any._effects import Part, Reported, around, by_epoch, effects, n_established, summed_up
from paribus.experiments.any._session import At, Rows, as_factor, at_checkpoints, bind, look_up, needs_fit, rows_of
from paribus.experiments.any._vector import RowDesign, refuse_illegal, vector_of, without_nulls
from paribus.experiments.any._vector import promised as promise
from paribus.experiments.any.grid import Grid
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import EffectVector, Promised
from paribus.experiments.setup import NetworkSetup
from paribus.measure.factor import Factor, crossed
from paribus.methods.grid import Gridded, grid, interaction_weights
from paribus.results.schema import Aggregates, Figure

COLUMNS = {"first": "level of the first factor", "second": "level of the second factor"}
JOINT = {
    **COLUMNS,
    "mean_delta": "mean of y(both) - y(first alone) - y(second alone) + y(neither) over contexts",
}


def validate(experiment: Grid, setup: NetworkSetup) -> None:
    """Look up everything that is named, and whether the two can be crossed."""
    look_up(experiment, setup)
    rows = rows_of(experiment, setup, fitted=needs_fit(experiment))
    refuse_illegal(_compared(experiment, setup), setup, rows)


def run(experiment: Grid, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Measure the grid at every checkpoint; hand over ``effects`` (cells), ``interactions`` and their heatmaps.

    Raises:
        ConfigError: If something that is named does not exist, or the two cannot be crossed.
        DataError: If no contexts are left to fit on or to report.
    """
    rows = rows_of(experiment, setup, fitted=needs_fit(experiment))
    cells: list[Part] = []
    joint: list[Part] = []
    kind, names, base = "", ("", ""), float("nan")
    labels: list[list[str]] = [[], []]
    for at in at_checkpoints(experiment, setup, recorder):
        one, other, found = _measured(experiment, setup, at, rows, recorder)
        kind, names, base = at.kind, (one.name, other.name), float(found.means[0, 0])
        labels = [list(one.labels), list(other.labels)]
        means = found.means.ravel()[1:]
        cells.append(Part(at.epoch, _cells(one, other)[1:], found.sums, means, found.null, found.null_name))
        joint.append(Part(at.epoch, _both(one, other), found.joint, None, found.joint_null, found.null_name))
    to = Reported(setup, recorder, kind, rows, COLUMNS)
    title = f"{names[0]} and {names[1]}"
    frame = effects(to, cells, what=f"One row per checkpoint and combination of {title}, against both baselines.")
    pairs = effects(
        Reported(setup, recorder, kind, rows, JOINT),
        joint,
        name="interactions",
        what=f"What {title} do together beyond the sum of each alone, one row per checkpoint and combination.",
    )
    for table, heading in (("effects", "Effect of"), ("interactions", "Beyond the sum:")):
        roles = {"x": "second", "y": "first", "value": "mean_delta", **by_epoch(frame, "panel")}
        drawn = Figure.of("heatmap", table, name=f"grid_{table}", **roles)
        says = around(frame, "Intervals and tests are in the table.")
        looks = {"diverging": True, "value_label": f"change of {kind}", "x_order": labels[1], "y_order": labels[0]}
        recorder.figure(drawn.titled(f"{heading} {title}", says, xlabel=names[1], ylabel=names[0], **looks))
    return summed_up(
        to,
        frame,
        factor=names[0],
        other=names[1],
        baseline_mean=base,
        n_interactions_established=n_established(pairs),
    )


def effect_vector(experiment: Grid, setup: NetworkSetup, recorder: Recorder) -> EffectVector:
    """Return what every combination does beyond the sum of each alone (the rows of ``interactions``)."""
    rows = rows_of(experiment, setup, fitted=needs_fit(experiment))
    setup = without_nulls(setup)
    (at,) = at_checkpoints(experiment, setup, recorder)
    one, other, found = _measured(experiment, setup, at, rows, recorder)
    return vector_of(at, rows, [row["level"] for row in _both(one, other)], found.joint, recorder)


def promised(experiment: Grid, setup: NetworkSetup) -> Promised:
    """Return what is known of that vector beforehand."""
    rows = rows_of(experiment, setup, fitted=needs_fit(experiment))
    return promise(experiment, setup, rows, _compared(experiment, setup))


def _compared(experiment: Grid, setup: NetworkSetup) -> RowDesign:
    """Return what an interaction compares: both, each alone, and neither."""
    executor = setup.executor()
    one, other = (
        as_factor(bind(name, spec, experiment, setup, executor), name) for name, spec in experiment.factors().items()
    )
    return RowDesign(crossed(one, other), interaction_weights(one.n_levels, other.n_levels))


def _measured(
    experiment: Grid, setup: NetworkSetup, at: At, rows: Rows, recorder: Recorder
) -> tuple[Factor, Factor, Gridded]:
    one, other = (
        as_factor(bind(name, spec, experiment, setup, at.executor), name).fit(at.executor, rows.fit)
        for name, spec in experiment.factors().items()
    )
    n_null, rng = setup.stats.n_null, setup.rng("grid")
    return one, other, grid(at.executor, one, other, at.readout, rows.reported, n_null=n_null, rng=rng, watch=recorder)


def _both(one: Factor, other: Factor) -> list[dict[str, str]]:
    """Return the combinations in which neither factor is at its baseline."""
    return [row for row in _cells(one, other) if row["first"] != one.labels[0] and row["second"] != other.labels[0]]


def _cells(one: Factor, other: Factor) -> list[dict[str, str]]:
    """Return what each combination is, the second factor's levels going fastest."""
    pairs = [(a, b) for a in one.labels for b in other.labels]
    return [{"level": f"{a} x {b}", "first": a, "second": b} for a, b in pairs]
