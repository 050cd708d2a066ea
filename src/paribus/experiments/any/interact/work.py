"""The work of interactions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from paribus.arrays import Ints
from paribus.errors import ConfigError
from paribus.experiments.any._effect_vector import RowDesign, alone, by_rows
from paribus.experiments.any._effects import Part, Reported, effects, summed_up
from paribus.experiments.any._figures import heatmap
from paribus.experiments.any._ranking import ranked
from paribus.experiments.any._session import At, at_checkpoints, units_of
from paribus.experiments.any.interact.spec import Interact
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.measure.executor import Executor
from paribus.measure.factor import InputUnits, Units
from paribus.methods.interact import Interacted, inclusion_exclusion, interact
from paribus.results.schema import Aggregates
from paribus.stats.clusters import ClusterSums
from paribus.stats.intervals import AT_MOST_0

COLUMNS = {
    "order": "units in the set",
    "first": "the first unit",
    "second": "the second one",
    "third": "the third one",
    "mean_delta": "mean over contexts of y(all) - y(without a) - y(without b) + y(without both); for one unit y(all) - "
    "y(without it), for three the sum over all their subsets with alternating sign",
}


def run(experiment: Interact, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Measure interactions at every checkpoint; hand over ``effects`` (sets), ``presence`` (single units), a heatmap.

    Raises:
        ConfigError: If something that is named does not exist.
        DataError: If no contexts are left to choose units on or to report.
    """
    single: list[Part] = []
    joint: list[Part] = []
    for at in at_checkpoints(experiment, setup, recorder):
        units, found = _measured(experiment, at)
        for parts, sizes in ((single, [1]), (joint, [2, 3])):
            some, labels = _of_size(units, found, sizes)
            parts.append(Part.of(at, labels, found.rows(some)))
    to, name = Reported.of(at, COLUMNS), units.name
    sets = "pairs" if experiment.order == 2 else "sets"
    says = f"What {sets} of {name} do together beyond each alone, one row per checkpoint and set."
    frame = effects(to, joint, what=says, divergence=None)
    says = f"What the presence of each of {name} does, one row per checkpoint and unit."
    effects(to, single, name="presence", what=says, divergence=AT_MOST_0)
    looks = {"value_label": f"interaction in {to.kind}", "xlabel": "", "ylabel": ""}
    heatmap(to, frame, "effects", "interact", f"Interactions of {name}", **looks)
    return summed_up(to, frame, factor=name)


def _rows(experiment: Interact, at: At) -> tuple[Sequence[str], ClusterSums]:
    """Measure the interaction of every set of two units or more (the rows of ``effects``)."""
    units, found = _measured(experiment, at)
    some, labels = _of_size(units, found, [2, 3])
    return [str(label["level"]) for label in labels], found.sums.rows(some)


def _compared(experiment: Interact, setup: NetworkSetup) -> RowDesign:
    """Return what each set compares where all units are looked at; else only how many sets there can be is known."""
    units, sizes = _several(experiment, setup, setup.executor()), range(2, experiment.order + 1)
    k = len(units.names)
    if isinstance(units, InputUnits) and k <= experiment.n_units:
        sets = [members for size in sizes for members in combinations(range(k), size)]
        masks, weights = inclusion_exclusion(sets, k)
        return RowDesign(units.design(masks), weights)
    return alone(units, lambda n: sum(math.comb(min(n, experiment.n_units), size) for size in sizes))


def _measured(experiment: Interact, at: At) -> tuple[Units, Interacted]:
    units = _several(experiment, at.setup, at.executor).fit(at.executor, at.rows.fit)
    chosen = sorted(ranked(at, units)[: experiment.n_units].tolist())
    return units, at.ask(interact, units, chosen, stream="interact", order=min(experiment.order, len(chosen)))


def _several(experiment: Interact, setup: NetworkSetup, executor: Executor) -> Units:
    units = units_of(experiment, setup, executor)
    if len(units.names) < 2:
        raise ConfigError(f"experiment.factor: {units.name} is one unit; an interaction needs two")
    return units


def _of_size(units: Units, found: Interacted, sizes: list[int]) -> tuple[Ints, list[dict[str, object]]]:
    """Return which rows are sets of these sizes, and what each is."""
    some = np.array([row for row, members in enumerate(found.members) if len(members) in sizes], np.int64)
    return some, [_row(units, found.members[row]) for row in some]


def _row(units: Units, members: tuple[int, ...]) -> dict[str, object]:
    names = [units.names[one] for one in members]
    places = dict(zip(("first", "second", "third"), [*names, "", ""], strict=False))
    return {"level": " x ".join(names), "order": len(names), **places}


validate, effect_vector, promised = by_rows(_compared, _rows)
