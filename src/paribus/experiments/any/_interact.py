"""The work of interactions."""

from __future__ import annotations

import math

import numpy as np

from paribus.arrays import Ints
from paribus.errors import ConfigError
from paribus.experiments.any._effects import Part, Reported, around, by_epoch, effects, summed_up
from paribus.experiments.any._ranking import ranked
from paribus.experiments.any._session import At, Rows, as_units, at_checkpoints, bind, look_up, rows_of
from paribus.experiments.any._vector import alone, refuse_illegal, vector_of, without_nulls
from paribus.experiments.any._vector import promised as promise
from paribus.experiments.any.interact import Interact
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import EffectVector, Promised
from paribus.experiments.setup import NetworkSetup
from paribus.measure.factor import Factor, Units
from paribus.methods.interact import Interacted, interact
from paribus.results.schema import Aggregates, Figure

COLUMNS = {
    "order": "units in the set",
    "first": "the first unit",
    "second": "the second one",
    "third": "the third one",
    "mean_delta": "mean over contexts of y(all) - y(without a) - y(without b) + y(without both); for one unit y(all) - "
    "y(without it), for three the sum over all their subsets with alternating sign",
}


def validate(experiment: Interact, setup: NetworkSetup) -> None:
    """Look up everything that is named."""
    look_up(experiment, setup, fitted=True, factor=_several)
    units = _several(bind("factor", experiment.factor, experiment, setup, setup.executor()), "factor")
    refuse_illegal(alone(units), setup, rows_of(experiment, setup, fitted=True))


def run(experiment: Interact, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Measure interactions at every checkpoint; hand over ``effects`` (sets), ``presence`` (single units), a heatmap.

    Raises:
        ConfigError: If something that is named does not exist.
        DataError: If no contexts are left to choose units on or to report.
    """
    rows = rows_of(experiment, setup, fitted=True)
    single: list[Part] = []
    joint: list[Part] = []
    kind, name = "", ""
    for at in at_checkpoints(experiment, setup, recorder):
        units, found = _measured(experiment, setup, at, rows, recorder)
        kind, name = at.kind, units.name
        sizes = [len(one) for one in found.members]
        for parts, wanted in ((single, [1]), (joint, [2, 3])):
            some = [row for row, size in enumerate(sizes) if size in wanted]
            labels = [_row(units, found.members[row]) for row in some]
            null = None if found.null is None else found.null[some]
            parts.append(Part(at.epoch, labels, found.sums.rows(_ints(some)), None, null, found.null_name))
    to = Reported(setup, recorder, kind, rows, COLUMNS)
    frame = effects(
        to, joint, what=f"What pairs of {name} do together beyond each alone, one row per checkpoint and set."
    )
    effects(
        to, single, name="presence", what=f"What the presence of each of {name} does, one row per checkpoint and unit."
    )
    drawn = Figure.of(
        "heatmap", "effects", name="interact", x="second", y="first", value="mean_delta", **by_epoch(frame, "panel")
    )
    says = around(frame, "Intervals and tests are in the table.")
    looks = {"diverging": True, "value_label": f"interaction in {kind}", "xlabel": "", "ylabel": ""}
    recorder.figure(drawn.titled(f"Interactions of {name}", says, **looks))
    return summed_up(to, frame, factor=name)


def effect_vector(experiment: Interact, setup: NetworkSetup, recorder: Recorder) -> EffectVector:
    """Return the interaction of every set of two units or more (the rows of ``effects``)."""
    rows = rows_of(experiment, setup, fitted=True)
    setup = without_nulls(setup)
    (at,) = at_checkpoints(experiment, setup, recorder)
    units, found = _measured(experiment, setup, at, rows, recorder)
    some = [row for row, members in enumerate(found.members) if len(members) > 1]
    labels = [str(_row(units, found.members[row])["level"]) for row in some]
    return vector_of(at, rows, labels, found.sums.rows(_ints(some)), recorder)


def promised(experiment: Interact, setup: NetworkSetup) -> Promised:
    """Return what is known of that vector beforehand."""
    rows = rows_of(experiment, setup, fitted=True)
    units = _several(bind("factor", experiment.factor, experiment, setup, setup.executor()), "factor")

    def n_sets(n: int) -> int:
        return sum(math.comb(min(n, experiment.n_units), size) for size in range(2, experiment.order + 1))

    return promise(experiment, setup, rows, alone(units, n_sets))


def _measured(
    experiment: Interact, setup: NetworkSetup, at: At, rows: Rows, recorder: Recorder
) -> tuple[Units, Interacted]:
    units = _several(bind("factor", experiment.factor, experiment, setup, at.executor), "factor")
    units = units.fit(at.executor, rows.fit)
    chosen = sorted(ranked(setup, at, units, rows)[: experiment.n_units].tolist())
    found = interact(
        at.executor,
        units,
        chosen,
        at.readout,
        rows.reported,
        order=min(experiment.order, len(chosen)),
        n_null=setup.stats.n_null,
        rng=setup.rng("interact"),
        watch=recorder,
    )
    return units, found


def _several(found: Factor | Units, name: str) -> Units:
    units = as_units(found, name)
    if len(units.names) < 2:
        raise ConfigError(f"experiment.{name}: {units.name} is one unit; an interaction needs two")
    return units


def _row(units: Units, members: tuple[int, ...]) -> dict[str, object]:
    names = [units.names[one] for one in members]
    places = dict(zip(("first", "second", "third"), [*names, "", ""], strict=False))
    return {"level": " x ".join(names), "order": len(names), **places}


def _ints(rows: list[int]) -> Ints:
    return np.array(rows, np.int64)
