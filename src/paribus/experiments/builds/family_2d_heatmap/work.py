"""Measures the feature at every pair of rungs of two families, and tests each interaction."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Bools
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import (
    EFFECT_COLUMNS,
    TESTED_COLUMNS,
    contrast,
    effect_rows,
    n_judged,
    row_means,
    summed,
)
from paribus.experiments.builds._moves import apply_moves
from paribus.experiments.builds.family_2d_heatmap.axes import Grid, axis
from paribus.experiments.builds.family_2d_heatmap.spec import Family2dHeatmap
from paribus.experiments.builds.family_2d_heatmap.sums import HeatmapSums, add_up, additive_r2, compared_cells, corners
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.effect_vector import EffectVector
from paribus.experiments.headline import largest as largest_effect
from paribus.measure.design import Design
from paribus.measure.nulls import Contrasts
from paribus.measure.stream import Stream
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.stats.effects import established
from paribus.stats.intervals import REFERENCE
from paribus.subjects.builds.states import States

Levels = tuple[int, ...]


def axes(experiment: Family2dHeatmap, setup: BuildSetup) -> Grid:
    """Return the cells of x and y.

    Raises:
        ConfigError: If both are one family or both are weapons, or a name or rung is unknown.
    """
    grid = Grid(
        axis(setup, experiment.family_x, experiment.rungs_x, "x"),
        axis(setup, experiment.family_y, experiment.rungs_y, "y"),
    )
    x, y = grid.x.family, grid.y.family
    if x is None and y is None:
        raise ConfigError(f"experiment.family_x and family_y are both weapons; cross {grid.x.name} with a family")
    if x is not None and y is not None and x == y:
        raise ConfigError(f"experiment.family_x and family_y are both {x.name}; choose two families")
    if x is not None and y is not None and x.piece is not None and x.piece == y.piece:
        raise ConfigError(f"{x.name} and {y.name} both need the main slot of the {x.piece} piece: no cell joins them")
    return grid


def prepare(
    experiment: Family2dHeatmap, setup: BuildSetup, recorder: Recorder | None, grid: Grid
) -> tuple[Stream, Bools]:
    """Return what measures all states of the cells, x varying slowest, and the contexts in which each cell is legal.

    Raises:
        ConfigError: If both families are legal in no context.
    """

    def edited(states: States) -> States:
        return apply_moves(experiment.hold(setup, states), grid.moves)

    design = Design(edited, grid.means.n_states, description=f"{experiment.family_x} x {experiment.family_y}")
    ok = setup.feasible(design, recorder)
    feasible, n_x, n_y = grid.means.supported(ok), len(grid.x.levels), len(grid.y.levels)
    joint = [i * n_y + j for i in range(1, n_x) for j in range(1, n_y)]
    setup.require(feasible[joint], f"{experiment.family_x} and {experiment.family_y} together at any of the rungs")
    weights = grid.means.spread(corners(n_x, n_y))
    contrasts = Contrasts(weights) if recorder is not None else None
    stream = setup.stream(design, recorder, contrasts=contrasts, ok=ok)
    return stream, feasible


def most_entries(experiment: Family2dHeatmap, setup: BuildSetup) -> int:
    """Return how many interactions there are; of few contexts, how many enough of them allow, without measuring."""
    grid = axes(experiment, setup)
    n_x, n_y = len(grid.x.levels), len(grid.y.levels)
    if not setup.few:
        return (n_x - 1) * (n_y - 1)
    cells = prepare(experiment, setup, None, grid)[1].reshape(n_x, n_y, -1)
    every = cells[1:, 1:] & cells[:1, 1:] & cells[1:, :1] & cells[:1, :1]
    return n_judged(every.reshape((n_x - 1) * (n_y - 1), -1))


def effect_vector(experiment: Family2dHeatmap, setup: BuildSetup) -> EffectVector:
    """Return the interaction of every cell."""
    grid = axes(experiment, setup)
    stream, _ = prepare(experiment, setup, None, grid)
    xs, ys = grid.x.levels, grid.y.levels
    f = stream.collected(len(setup.contexts)).values[0]
    differences = contrast(corners(len(xs), len(ys)), grid.means.of(f))
    labels = tuple(f"{x}/{y}" for x in xs[1:] for y in ys[1:])
    return EffectVector(labels, row_means(differences), differences)


def run(experiment: Family2dHeatmap, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Measure every cell, then interactions, the peak, and how much an additive model explains."""
    setup.describe(recorder)
    grid = axes(experiment, setup)
    xs, ys = grid.x.levels, grid.y.levels
    stream, feasible = prepare(experiment, setup, recorder, grid)
    compared, common = compared_cells(feasible, experiment.min_n)
    found = add_up(setup, stream, corners(len(xs), len(ys)), common, grid.means)
    frame = cells(experiment, setup, recorder, found, xs, ys)
    says = (
        f"One row per cell of {experiment.family_x} x {experiment.family_y}; "
        "cells that are legal in no context are blank."
    )
    recorder.table(Table("heatmap", says, Evidence.INTERVENTIONAL, frame, _COLUMNS))
    draw(experiment, recorder, grid)
    enough = frame["n"] >= experiment.min_n
    peak = int(np.argmax(frame["mean_activation"].where(enough, -np.inf))) if enough.any() else None
    crossed = frame.assign(interaction=frame["interaction"].where(frame["n_interaction"] >= experiment.min_n))
    largest = largest_effect(recorder, "max_interaction", crossed, "interaction")
    return Aggregates(
        **summed(setup, frame["interaction"]),
        n_conditions=int((frame["n"] > 0).sum()),
        custom={
            "peak": None if peak is None else _cell(frame, peak, "mean_activation"),
            "max_interaction": None if largest is None else _cell(frame, largest, "interaction"),
            "additive_r2": additive_r2(found.common, compared, len(ys)) if common.sum() >= experiment.min_n else None,
            "blank_cells": int((frame["n"] == 0).sum()),
            "significant_interactions": int(
                established(frame, level=1 - setup.stats.confidence, value="interaction").sum()
            ),
            "largest_abs_interaction_z": float(frame["interaction_z"].abs().fillna(0.0).max()),
        },
    )


def cells(
    experiment: Family2dHeatmap, setup: BuildSetup, recorder: Recorder, found: HeatmapSums, xs: Levels, ys: Levels
) -> pd.DataFrame:
    """Return one row per cell: its mean, and its interaction on the contexts that support all four corners."""
    crossed = [(i, j) for i in range(1, len(xs)) for j in range(1, len(ys))]
    table = effect_rows(
        setup,
        recorder,
        found.interaction,
        "interactions",
        differences_z=found.interaction_z,
        null=found.null,
        labels=[f"{xs[i]}/{ys[j]}" for i, j in crossed],
        least=experiment.min_n,
    )
    table_z = effect_rows(setup, recorder, found.interaction_z, "interactions_z", least=experiment.min_n)
    renamed = {"mean_delta": "interaction", "std_error": "interaction_std_error", "n": "n_interaction"}
    kept = [*TESTED_COLUMNS, "null_low", "null_high", "null_percentile"]
    table = table.rename(columns=renamed)[[*renamed.values(), *kept]]
    table["interaction_z"] = table_z["mean_delta"]
    table = table.join(table_z[list(TESTED_COLUMNS)].add_suffix("_z"))
    table.index = pd.Index([i * len(ys) + j for i, j in crossed])
    frame = pd.DataFrame(
        {
            "x": np.repeat(xs, len(ys)),
            "y": np.tile(ys, len(xs)),
            "mean_activation": found.f.means,
            "std_error": found.f.standard_errors(),
            "n": found.f.n.astype(np.int64),
            "firing_rate": found.firing_rate,
            "mean_preactivation": found.z.means,
        }
    )
    frame = frame.join(table)
    methods = ["ci_method", "p_method", "ci_method_z", "p_method_z"]
    return frame.fillna(dict.fromkeys(methods, REFERENCE))


def draw(experiment: Family2dHeatmap, recorder: Recorder, grid: Grid) -> None:
    """Declare the pair of heatmaps."""
    recorder.figure(
        Figure.of("heatmap", "heatmap", x="x", y="y", value=["mean_activation", "interaction"]).titled(
            f"{experiment.family_x} with {experiment.family_y}",
            "Left: mean activation with both families set. Right: what the pair does beyond the sum of the two, on "
            "the contexts that support all four corners. Blank cells are not legal.",
            xlabel=grid.x.label,
            ylabel=grid.y.label,
            diverging=[False, True],
            value_label=["mean activation", "interaction"],
        )
    )


def _cell(frame: pd.DataFrame, at: int, value: str) -> dict[str, float]:
    row = frame.iloc[at]
    return {"x": float(row["x"]), "y": float(row["y"]), "value": float(row[value]), "n": float(row["n"])}


_COLUMNS = {
    "x": "AP of the family along x; 0 is absent; of a weapon: 1 is there, 0 the mean over reference weapons",
    "y": "AP of the family along y; 0 is absent; of a weapon likewise",
    "mean_activation": "mean f of the contexts in which the cell is legal; blank where there are none",
    "std_error": "cluster-robust standard error of mean_activation",
    "n": "contexts in which the cell is legal",
    "interaction": "f(x,y) - f(x,0) - f(0,y) + f(0,0), paired within the contexts that support all four",
    "n_interaction": "contexts that support all four corners",
    "interaction_z": "the same on the pre-activation: an interaction in f alone may be the output nonlinearity",
    **{name: EFFECT_COLUMNS[name] for name in TESTED_COLUMNS},
    "ci_low": "lower end of the cluster-bootstrap interval of the interaction",
    "p": "sign-flip p of the interaction",
    "p_adj": "sign-flip p of the interaction, adjusted over the cells",
    "null_percentile": "percentile of the interaction among like features; not a p",
}
