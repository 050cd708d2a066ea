"""Main effects of factors on the declared endpoints, where their full factorial was run."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paribus.compare.arms import Intervals, Unadjusted, one_arm
from paribus.compare.declared import ENDPOINTS
from paribus.compare.endpoints import model_of
from paribus.compare.values import value_of
from paribus.experiments.setup_runs import CollectedRun
from paribus.stats.factorial import main_effects

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec


def factor_table(
    effects: pd.DataFrame,
    runs: Sequence[CollectedRun],
    endpoints: Sequence[str],
    factors: Sequence[str],
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
) -> tuple[Unadjusted, list[str]]:
    """Return the main effect of every factor on every endpoint where the full factorial was run; else no rows.

    A factor is a param with exactly two levels. Pairs differ in one factor only, within seed and training-set size.

    Returns:
        The table, and a sentence for each endpoint whose factorial was complete and could not be tested.
    """
    by_id = {run.run_id: run for run in runs}
    known = {name: _levels(runs, name) for name in factors}
    columns = ["smallest_p", "endpoint", "label", "unit", "factor", "low", "high", "effect", "ci_low", "ci_high",
               "ci_method", "p", "n_pairs", "n_unpaired"]  # fmt: skip
    rows: list[dict[str, Any]] = []
    intervals: list[Intervals] = []
    notes: list[str] = []
    for endpoint in endpoints:
        mine, declared = effects[effects["endpoint"] == endpoint], ENDPOINTS[endpoint]
        levels = {name: [_hashable(known[name].get(model_of(by_id[i]))) for i in mine["run_id"]] for name in factors}
        if mine.empty or not _complete(levels):
            continue
        units = [f"{n}/{s}" for n, s in zip(mine["n_train"], mine["seed"], strict=True)]
        try:
            found = main_effects(mine["value"].to_numpy(float), levels, units)
        except ValueError as problem:
            # Two runs share seed and all factors, so the conditions differ in something else: no factorial.
            notes.append(f"{endpoint}: no main effects of {', '.join(factors)}: {problem}.")
            continue
        widest = declared.bounds[1] - declared.bounds[0]
        for effect in found:
            arm = one_arm(effect.differences.tolist(), spec=spec, rng=rng, against_zero=True, bounds=(-widest, widest))
            intervals.append(arm.intervals)
            rows.append(
                {
                    "smallest_p": arm.smallest_p,
                    "endpoint": endpoint,
                    "label": declared.label,
                    "unit": declared.unit,
                    "factor": effect.factor,
                    "low": effect.low,
                    "high": effect.high,
                    "effect": arm.mean,
                    "ci_low": arm.ci_low,
                    "ci_high": arm.ci_high,
                    "ci_method": arm.ci_method,
                    "p": arm.p,
                    "n_pairs": arm.n,
                    "n_unpaired": effect.n_unpaired,
                }
            )
    return Unadjusted(pd.DataFrame(rows, columns=columns), intervals), notes


def _levels(runs: Sequence[CollectedRun], name: str) -> dict[Hashable, Any]:
    """Return the level of a factor by trained model: from its training run, else from a run on the model."""
    found: dict[Hashable, Any] = {}
    for run in sorted(runs, key=lambda each: each.experiment_type != "train_classifier"):
        if (value := value_of(run, name)) is not None:
            found.setdefault(model_of(run), value)
    return found


def _hashable(value: Any) -> Any:
    """Return a factor level that can be sorted: numbers stay (also those logged as text), the rest becomes text."""
    if isinstance(value, bool) or value is None:
        return str(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)


def _complete(levels: dict[str, list[Any]]) -> bool:
    """Return whether every factor has two levels and every combination of them was run."""
    if not levels or any(len(set(values)) != 2 for values in levels.values()):
        return False
    combinations = set(zip(*levels.values(), strict=True))
    return bool(len(combinations) == 2 ** len(levels))
