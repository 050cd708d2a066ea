"""Tests between training conditions: per endpoint and condition against a reference, and main effects of factors."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paribus.compare.arms import COLUMNS, Intervals, Unadjusted, compare_arms, one_arm
from paribus.compare.declared import ENDPOINTS
from paribus.compare.endpoints import model_of
from paribus.compare.units import arms_of
from paribus.compare.values import value_of
from paribus.experiments.setup_runs import CollectedRun
from paribus.results.endpoint import CHANGE, Endpoint
from paribus.stats.factorial import main_effects

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

RANKING = ("auroc_change", "auroc_ci_low", "auroc_ci_high", "auroc_p")
"""What the AUROC does beside an endpoint of accuracy: its mean (difference), interval and p, not adjusted."""


def condition_table(units: pd.DataFrame, *, spec: StatsSpec, rng: np.random.Generator) -> Unadjusted:
    """Return each endpoint's mean and interval in each condition; where 0 means no effect, tested against 0.

    Args:
        units: One row per endpoint, condition and seed (see :func:`paribus.compare.units.units_of`).
        spec: Settings of the statistics.
        rng: Randomness of flips.
    """
    rows: list[dict[str, Any]] = []
    intervals: list[Intervals] = []
    for (endpoint, condition), mine in units.groupby(["endpoint", "training"], sort=False):
        declared = ENDPOINTS[str(endpoint)]
        found = one_arm(mine["value"].tolist(), spec=spec, rng=rng, against_zero=declared.zero, bounds=declared.bounds)
        intervals.append(found.intervals)
        rows.append(
            {
                "endpoint": endpoint,
                "label": declared.label,
                "unit": declared.unit,
                "training": condition,
                "n_seeds": found.n,
                "mean": found.mean,
                "ci_low": found.ci_low,
                "ci_high": found.ci_high,
                "ci_method": found.ci_method,
                "smallest_p": found.smallest_p,
                "p": found.p,
                **_ranking(mine["auroc_change"].tolist(), declared, spec, rng),
            }
        )
    columns = ["endpoint", "label", "unit", "training", "n_seeds", "mean", "ci_low", "ci_high", "ci_method",
               "smallest_p", "p", *RANKING]  # fmt: skip
    return Unadjusted(pd.DataFrame(rows, columns=columns), intervals)


def _ranking(changes: list[float], declared: Endpoint, spec: StatsSpec, rng: np.random.Generator) -> dict[str, float]:
    """Return what the AUROC does beside an endpoint, over the same units: not adjusted, and no test of its own."""
    if declared.ranking is None:
        return dict.fromkeys(RANKING, math.nan)
    arm = one_arm(changes, spec=spec, rng=rng, against_zero=declared.zero, bounds=CHANGE)
    return dict(zip(RANKING, (arm.mean, arm.ci_low, arm.ci_high, arm.p), strict=True))


def contrast_table(
    effects: pd.DataFrame, endpoints: Sequence[str], reference: str, *, spec: StatsSpec, rng: np.random.Generator
) -> tuple[Unadjusted, list[str]]:
    """Return every condition against ``reference`` for every declared endpoint.

    Returns:
        The table and sentences about missing seeds and sizes.
    """
    conditions = [c for c in pd.unique(effects["training"]) if c != reference]
    rows: list[dict[str, Any]] = []
    intervals: list[Intervals] = []
    notes: list[str] = []
    for endpoint in endpoints:
        mine, declared = effects[effects["endpoint"] == endpoint], ENDPOINTS[endpoint]
        for condition in conditions:
            arms = arms_of(mine, str(condition), reference)
            found = compare_arms(arms.a, arms.b, spec=spec, rng=rng, bounds=declared.bounds)
            intervals.append(found.intervals)
            flags = [text for text in (found.missing, arms.left_out) if text]
            if found.design == "none":
                flags.append("no runs to compare")
            first = {"smallest_p": found.smallest_p, "endpoint": endpoint, "label": declared.label,
                     "unit": declared.unit, "training": condition, "reference": reference}  # fmt: skip
            rest = {name: getattr(found, name) for name in COLUMNS}
            beside = dict.fromkeys(RANKING, math.nan)
            if declared.ranking is not None:
                ranked = arms_of(mine, str(condition), reference, "auroc_change")
                other = compare_arms(ranked.a, ranked.b, spec=spec, rng=rng, bounds=CHANGE)
                ends = (other.difference, other.ci_low, other.ci_high, other.p)
                beside = dict(zip(RANKING, ends, strict=True))
            rows.append({**first, **rest, **beside, "flag": "; ".join(flags)})
            where = f"{endpoint}, {condition} against {reference}"
            notes += [f"{where}: seeds {found.missing}."] if found.missing else []
            notes += [f"{where}: {arms.left_out}."] if arms.left_out else []
    columns = ["smallest_p", "endpoint", "label", "unit", "training", "reference", *COLUMNS, *RANKING, "flag"]
    return Unadjusted(pd.DataFrame(rows, columns=columns), intervals), notes


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
    """Return the level of a factor by trained model: as its training says it, else as a run on it does."""
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
