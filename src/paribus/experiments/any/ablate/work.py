"""The work of an ablation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from paribus.arrays import Ints
from paribus.experiments.any._constant_units import CONSTANT, constant_units
from paribus.experiments.any._effect_map import WHERE, draw_map
from paribus.experiments.any._effect_vector import RowDesign, alone, by_rows
from paribus.experiments.any._effects import Part, Reported, effects, summed_up
from paribus.experiments.any._figures import forest
from paribus.experiments.any._ranking import ranked
from paribus.experiments.any._session import At, at_checkpoints, units_of
from paribus.experiments.any.ablate.spec import Ablate
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.measure.factor import Units
from paribus.methods.ablate import Ablated, ablate, together
from paribus.results.schema import Aggregates
from paribus.stats.clusters import ClusterSums

REMARK = {
    "remark": "constant here: the unit's value does not differ between contexts, so that this ablation cannot show it",
}
COLUMNS = {
    "k": "units taken away together",
    "rank": "place of the unit in the order found on contexts that are not reported, from 1; for sets the last of them",
    "dose": "k, where a row is a set of the strongest",
}


def run(experiment: Ablate, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Ablate at every checkpoint; hand over ``effects``, its figures, and the headline.

    Raises:
        ConfigError: If something that is named does not exist.
        DataError: If no contexts are left to rank on or to report.
    """
    parts: list[Part] = []
    for at in at_checkpoints(experiment, setup, recorder):
        units, labels, found = _measured(experiment, at)
        parts.append(Part.of(at, labels, found, found.means[1:]))
    named = {name: said for name, said in WHERE.items() if name in parts[0].rows[0]}
    if any("remark" in row for part in parts for row in part.rows):
        parts = [replace(part, rows=[{"remark": "", **row} for row in part.rows]) for part in parts]
        named |= REMARK
    to, name = Reported.of(at, {**COLUMNS, **named}), units.name
    frame = effects(to, parts, what=f"One row per checkpoint and set of {name} taken away.")
    forest(to, frame, "ablate", f"Effect of taking {name} away")
    draw_map(recorder, "ablate_map", f"Effect of taking {name} away", frame, to.kind)
    return summed_up(to, frame, factor=name, baseline_mean=float(found.means[0]))


def _rows(experiment: Ablate, at: At) -> tuple[Sequence[str], ClusterSums]:
    """Measure the effect of each unit taken away alone; sets of the strongest hold the same units again."""
    _, labels, found = _measured(replace(experiment, ks=[]), at)
    return [str(label["level"]) for label in labels], found.sums


def _compared(experiment: Ablate, setup: NetworkSetup) -> RowDesign:
    return alone(units_of(experiment, setup, setup.executor()), lambda n: min(n, experiment.n_units))


def _measured(experiment: Ablate, at: At) -> tuple[Units, list[dict[str, object]], Ablated]:
    units = units_of(experiment, at.setup, at.executor).fit(at.executor, at.rows.fit)
    labels, off = _sets(experiment, units, ranked(at, units))
    constant = constant_units(units, at.executor, at.rows.reported)
    for label, row in zip(labels, off, strict=True):
        if constant[row].all():
            label["remark"] = CONSTANT
    return units, labels, at.ask(ablate, units, off, stream="ablate")


def _sets(experiment: Ablate, units: Units, order: Ints) -> tuple[list[dict[str, object]], np.ndarray]:
    """Return what each row is, and the units it takes away ``[rows, k]``: single ones, then the strongest together."""
    single = order[: experiment.n_units]
    ks = [k for k in sorted(experiment.ks) if k <= len(order)]
    labels: list[dict[str, object]] = [
        {
            "level": units.names[unit], "dose": np.nan, "k": 1, "rank": rank + 1,
            **{name: str(numbers[unit]) for name, numbers in units.where.items()},
        }
        for rank, unit in enumerate(single)
    ]  # fmt: skip
    labels += [{"level": f"strongest {k}", "dose": float(k), "k": k, "rank": k} for k in ks]
    return labels, together([*single[:, None], *(order[:k] for k in ks)], len(order))


validate, effect_vector, promised = by_rows(_compared, _rows)
