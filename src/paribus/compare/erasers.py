"""The share of the swap effect that the other erasers remove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from paribus.compare.arms import Unadjusted
from paribus.compare.effects import as_values, run_effects
from paribus.compare.endpoints import Choice
from paribus.compare.group_tables import BESIDE, group_rows
from paribus.compare.outcomes import endpoint
from paribus.compare.units import VALUE, unit_table
from paribus.experiments.setup_runs import CollectedRun

if TYPE_CHECKING:
    import numpy as np

    from paribus.stats.spec import StatsSpec

ENDPOINT = "swap_removed"


def eraser_rows(
    runs: Sequence[CollectedRun], choice: Choice, reference: str, *, spec: StatsSpec, rng: np.random.Generator
) -> Unadjusted:
    """Return the share of the swap effect that each other eraser removes, in each condition, over seeds.

    Args:
        runs: The compared runs.
        choice: What is read; its eraser is left out, as its tests stand in the other tables.
        reference: The condition that comes first.
        spec: Settings of the statistics.
        rng: Randomness of flips.
    """
    tables = [run.tables["ablation"] for run in runs if "ablation" in run.tables]
    methods = dict.fromkeys(str(method) for table in tables for method in table.get("method", ()))
    others = [name for name in methods if name != choice.method]
    outcomes, found = {ENDPOINT: endpoint(ENDPOINT, choice)}, []
    for method in others or [""]:
        effects, _ = run_effects(runs if others else (), [ENDPOINT], replace(choice, method=method), reference)
        table = group_rows(unit_table(as_values(effects), (VALUE, BESIDE))[0], outcomes, spec=spec, rng=rng)
        table.frame.insert(0, "method", method)
        found.append(table)
    return Unadjusted(
        pd.concat([each.frame for each in found], ignore_index=True), [one for each in found for one in each.intervals]
    )
