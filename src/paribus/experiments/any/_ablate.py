"""The work of an ablation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from paribus.arrays import Ints
from paribus.experiments.any._constant import CONSTANT, constant_units
from paribus.experiments.any._effects import Part, Reported, around, by_epoch, effects, null_called, summed_up
from paribus.experiments.any._map import WHERE, draw_map
from paribus.experiments.any._ranking import ranked
from paribus.experiments.any._session import At, Rows, as_units, at_checkpoints, bind, look_up, rows_of
from paribus.experiments.any._vector import alone, refuse_illegal, vector_of, without_nulls
from paribus.experiments.any._vector import promised as promise
from paribus.experiments.any.ablate import Ablate
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import EffectVector, Promised
from paribus.experiments.setup import NetworkSetup
from paribus.measure.factor import Units
from paribus.methods.ablate import Ablated, ablate
from paribus.results.schema import BANDS, Aggregates, Figure

REMARK = {
    "remark": "constant here: the unit's value does not differ between contexts, so that this ablation cannot show it",
}
COLUMNS = {
    "k": "units taken away together",
    "rank": "place of the unit in the order found on contexts that are not reported, from 1; for sets the last of them",
    "dose": "k, where a row is a set of the strongest",
}


def validate(experiment: Ablate, setup: NetworkSetup) -> None:
    """Look up everything that is named."""
    look_up(experiment, setup, fitted=True, factor=as_units)
    units = as_units(bind("factor", experiment.factor, experiment, setup, setup.executor()), "factor")
    refuse_illegal(alone(units), setup, rows_of(experiment, setup, fitted=True))


def run(experiment: Ablate, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Ablate at every checkpoint; hand over ``effects``, its figures, and the headline.

    Raises:
        ConfigError: If something that is named does not exist.
        DataError: If no contexts are left to rank on or to report.
    """
    rows = rows_of(experiment, setup, fitted=True)
    parts: list[Part] = []
    kind, name, base = "", "", float("nan")
    for at in at_checkpoints(experiment, setup, recorder):
        units, labels, found = _measured(experiment, setup, at, rows, recorder)
        kind, name, base = at.kind, units.name, float(found.means[0])
        parts.append(Part(at.epoch, labels, found.sums, found.means[1:], found.null, found.null_name))
    named = {name: said for name, said in WHERE.items() if name in parts[0].rows[0]}
    if any("remark" in row for part in parts for row in part.rows):
        parts = [replace(part, rows=[{"remark": "", **row} for row in part.rows]) for part in parts]
        named |= REMARK
    to = Reported(setup, recorder, kind, rows, {**COLUMNS, **named})
    frame = effects(to, parts, what=f"One row per checkpoint and set of {name} taken away.")
    _figure(recorder, name, kind, frame)
    draw_map(recorder, "ablate_map", f"Effect of taking {name} away", frame, kind)
    return summed_up(to, frame, factor=name, baseline_mean=base)


def effect_vector(experiment: Ablate, setup: NetworkSetup, recorder: Recorder) -> EffectVector:
    """Return the effect of each unit taken away alone; sets of the strongest hold the same units again."""
    rows = rows_of(experiment, setup, fitted=True)
    setup, experiment = without_nulls(setup), replace(experiment, ks=[])
    (at,) = at_checkpoints(experiment, setup, recorder)
    _, labels, found = _measured(experiment, setup, at, rows, recorder)
    return vector_of(at, rows, [str(label["level"]) for label in labels], found.sums, recorder)


def promised(experiment: Ablate, setup: NetworkSetup) -> Promised:
    """Return what is known of that vector beforehand."""
    rows = rows_of(experiment, setup, fitted=True)
    units = as_units(bind("factor", experiment.factor, experiment, setup, setup.executor()), "factor")
    return promise(experiment, setup, rows, alone(units, lambda n: min(n, experiment.n_units)))


def _measured(
    experiment: Ablate, setup: NetworkSetup, at: At, rows: Rows, recorder: Recorder
) -> tuple[Units, list[dict[str, object]], Ablated]:
    units = as_units(bind("factor", experiment.factor, experiment, setup, at.executor), "factor")
    units = units.fit(at.executor, rows.fit)
    order = ranked(setup, at, units, rows)
    labels, off = _sets(experiment, units, order)
    constant = constant_units(units, at.executor, rows.reported)
    for label, row in zip(labels, off, strict=True):
        if constant[row].all():
            label["remark"] = CONSTANT
    n_null, rng = setup.stats.n_null, setup.rng("ablate")
    found = ablate(at.executor, units, off, at.readout, rows.reported, n_null=n_null, rng=rng, watch=recorder)
    return units, labels, found


def _sets(experiment: Ablate, units: Units, order: Ints) -> tuple[list[dict[str, object]], np.ndarray]:
    """Return what each row is, and the units it takes away ``[rows, k]``: single ones, then the strongest together."""
    n = len(units.names)
    single = order[: experiment.n_units]
    ks = [k for k in sorted(experiment.ks) if k <= n]
    off = np.zeros((len(single) + len(ks), n), bool)
    off[np.arange(len(single)), single] = True
    labels: list[dict[str, object]] = [
        {
            "level": units.names[unit], "dose": np.nan, "k": 1, "rank": rank + 1,
            **{name: str(numbers[unit]) for name, numbers in units.where.items()},
        }
        for rank, unit in enumerate(single)
    ]  # fmt: skip
    for row, k in enumerate(ks, start=len(single)):
        off[row, order[:k]] = True
        labels.append({"level": f"strongest {k}", "dose": float(k), "k": k, "rank": k})
    return labels, off


def _figure(recorder: Recorder, name: str, kind: str, frame: pd.DataFrame) -> None:
    caption = f"{around(frame)} Hatched: 2.5 to 97.5 % of the null that the table names."
    roles = {"label": "level", "value": "mean_delta", **BANDS, **by_epoch(frame, "group")}
    drawn = Figure.of("forest", "effects", name="ablate", **roles)
    looks = {"xlabel": f"change of {kind}", "reference": 0, "null_label": null_called(frame), "max_rows": 30}
    recorder.figure(drawn.titled(f"Effect of taking {name} away", caption, **looks))
