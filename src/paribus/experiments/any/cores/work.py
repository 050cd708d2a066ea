"""The work of minimal cores."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.experiments.any._effect_vector import alone, refuse_illegal
from paribus.experiments.any._effects import COLUMNS as EFFECT_COLUMNS
from paribus.experiments.any._effects import Part, Reported, effects, summed_up
from paribus.experiments.any._figures import around, by_epoch
from paribus.experiments.any._ranking import ranked
from paribus.experiments.any._session import at_checkpoints, look_up, units_of
from paribus.experiments.any.cores.spec import Cores
from paribus.experiments.any.cores.table import CORES, table_of
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.methods.ablate import ablate, singles
from paribus.methods.cores import cores
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table

COLUMNS = {
    "in_cores": "share of contexts with a core that contains this unit, of those in which the units raise the readout"
}


def validate(experiment: Cores, setup: NetworkSetup) -> None:
    """Check that everything named exists."""
    look_up(experiment, setup)
    refuse_illegal(experiment, setup, alone(units_of(experiment, setup, setup.executor())))


def run(experiment: Cores, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Find cores at every checkpoint; hand over ``cores``, ``effects`` (each unit taken away alone) and a figure.

    Raises:
        ConfigError: If something that is named does not exist, or less of the readout is better.
        DataError: If no contexts are left to choose units on or to report.
    """
    parts: list[Part] = []
    tables: list[pd.DataFrame] = []
    for at in at_checkpoints(experiment, setup, recorder):
        units = units_of(experiment, setup, at.executor).fit(at.executor, at.rows.fit)
        chosen = np.sort(ranked(at, units)[: experiment.n_units])
        names = [units.names[one] for one in chosen]
        threshold, robust = experiment.threshold, experiment.robust
        found = cores(at.reading(), units, chosen.tolist(), threshold=threshold, robust=robust)
        tables.append(table_of(experiment, at, found, names))
        each = at.ask(ablate, units, singles(len(units.names))[chosen], stream="alone")
        labels = [{"level": one, "in_cores": float(share)} for one, share in zip(names, found.shares, strict=True)]
        parts.append(Part.of(at, labels, each, each.means[1:]))
    to, name, told = Reported.of(at, COLUMNS), units.name, int(found.told.sum())
    frame = effects(to, parts, what=f"What taking away each of {name} alone does, one row per checkpoint and unit.")
    table = pd.concat(tables, ignore_index=True)
    if "checkpoint" in frame:
        table.insert(1, "checkpoint", [f"epoch {epoch}" for epoch in table["epoch"]])
    text = f"The sets of {name} that are a core of some context, one row per checkpoint and set."
    recorder.table(Table("cores", text, Evidence.INTERVENTIONAL, table, {**EFFECT_COLUMNS, **CORES}))
    if not told:
        recorder.warn(f"In no context do {name} raise {to.kind}; there is nothing that a core could keep.")
    columns = {"label": "core", "value": "share", "low": "share_low", "high": "share_high"} | by_epoch(frame, "group")
    drawn = Figure.of("forest", "cores", **columns)
    looks = {"xlabel": "share of contexts", "max_rows": 30}
    recorder.figure(drawn.titled(f"Cores among {name}", around(frame, "95 % intervals by cluster."), **looks))
    return summed_up(to, frame, factor=name, n_contexts_with_cores=told, n_named=int(table["named"].astype(bool).sum()))
