"""Tests between training conditions: per endpoint and condition against a reference, and main effects of factors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paribus.compare.arms import ArmComparison, compare_arms, holm, one_arm
from paribus.compare.collect import value_of
from paribus.compare.endpoints import ENDPOINTS, unit
from paribus.experiments.setup_runs import CollectedRun
from paribus.stats import few
from paribus.stats.factorial import main_effects

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec


def arm(effects: pd.DataFrame, endpoint: str, condition: str, sizes: Sequence[Any] | None) -> dict[Any, float]:
    """Return the outcome of every seed of a condition: the mean over its training-set sizes in ``sizes``.

    Runs that share a seed are not independent, so the seed is the unit.
    """
    rows = effects[(effects["endpoint"] == endpoint) & (effects["training"] == condition)]
    if sizes is not None:
        rows = rows[rows["n_train"].isin(list(sizes))]
    means = rows.groupby("seed", dropna=False)["value"].mean()
    return {seed: float(value) for seed, value in means.items()}


def condition_table(effects: pd.DataFrame, *, spec: StatsSpec, rng: np.random.Generator) -> pd.DataFrame:
    """Return each endpoint's mean and interval in each condition; where 0 means no effect, tested against 0."""
    rows = []
    for (endpoint, condition), _ in effects.groupby(["endpoint", "training"], sort=False):
        values = arm(effects, str(endpoint), str(condition), None)
        mean, low, high, method = one_arm(list(values.values()), spec=spec, rng=rng)
        row: dict[str, Any] = {
            "endpoint": endpoint,
            "label": ENDPOINTS[str(endpoint)].label,
            "training": condition,
            "n_seeds": len(values),
            "mean": mean,
            "ci_low": low,
            "ci_high": high,
            "ci_method": method,
            "smallest_p": math.nan,
            "p": math.nan,
        }
        if ENDPOINTS[str(endpoint)].zero and values:
            found = few.paired_sign_flip(list(values.values()), rng=rng, n_permutations=spec.n_permutations)
            row.update(smallest_p=found.smallest_p, p=found.p)
        rows.append(row)
    columns = ["endpoint", "label", "training", "n_seeds", "mean", "ci_low", "ci_high", "ci_method", "smallest_p", "p"]
    return holm(pd.DataFrame(rows, columns=columns))


def contrast_table(
    effects: pd.DataFrame, endpoints: Sequence[str], reference: str, *, spec: StatsSpec, rng: np.random.Generator
) -> tuple[pd.DataFrame, list[str]]:
    """Return every condition against ``reference`` for every declared endpoint, Holm over all of them.

    Training-set sizes that only one arm has are left out of that row.

    Returns:
        The table and sentences about missing seeds and sizes.
    """
    conditions = [c for c in pd.unique(effects["training"]) if c != reference]
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for endpoint in endpoints:
        mine = effects[effects["endpoint"] == endpoint]
        for condition in conditions:
            sizes, dropped = _common_sizes(mine, condition, reference)
            a, b = arm(mine, endpoint, condition, sizes), arm(mine, endpoint, reference, sizes)
            found = compare_arms(a, b, spec=spec, rng=rng)
            flags = [found.missing] if found.missing else []
            if dropped:
                flags.append(f"sizes in one arm only left out: {', '.join(map(str, dropped))}")
            if found.design == "none":
                flags.append("no runs to compare")
            first = {"smallest_p": found.smallest_p, "endpoint": endpoint, "label": ENDPOINTS[endpoint].label,
                     "training": condition, "reference": reference}  # fmt: skip
            rest = {k: v for k, v in dataclasses.asdict(found).items() if k not in ("smallest_p", "missing")}
            rows.append({**first, **rest, "flag": "; ".join(flags)})
            if found.missing:
                notes.append(f"{endpoint}, {condition} against {reference}: seeds {found.missing}.")
    fields = [f.name for f in dataclasses.fields(ArmComparison) if f.name not in ("smallest_p", "missing")]
    columns = ["smallest_p", "endpoint", "label", "training", "reference", *fields, "flag"]
    return holm(pd.DataFrame(rows, columns=columns)), notes


def _common_sizes(rows: pd.DataFrame, condition: str, reference: str) -> tuple[list[Any] | None, list[Any]]:
    """Return the sizes both arms have (None where a size is unknown) and those that only one has."""
    if rows["n_train"].isna().any():
        return None, []
    a, b = (set(rows.loc[rows["training"] == c, "n_train"]) for c in (condition, reference))
    return sorted(a & b), sorted(a ^ b) if a and b else []


def factor_table(
    effects: pd.DataFrame,
    runs: Sequence[CollectedRun],
    endpoints: Sequence[str],
    factors: Sequence[str],
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the main effect of every factor on every endpoint where the full factorial was run; else no rows.

    A factor is a param with exactly two levels. Pairs differ in one factor only, within seed and training-set size.
    """
    by_id = {run.run_id: run for run in runs}
    known: dict[str, dict[Any, Any]] = {name: {} for name in factors}
    for run in runs:
        for name in factors:
            if (value := value_of(run, name)) is not None:
                known[name][unit(run)] = value
    columns = ["smallest_p", "endpoint", "factor", "low", "high", "effect", "p", "n_pairs", "n_unpaired"]
    pieces = []
    for endpoint in endpoints:
        mine = effects[effects["endpoint"] == endpoint]
        levels = {name: [_hashable(known[name].get(unit(by_id[i]))) for i in mine["run_id"]] for name in factors}
        if mine.empty or not _complete(levels):
            continue
        units = [f"{n}/{s}" for n, s in zip(mine["n_train"], mine["seed"], strict=True)]
        try:
            found = main_effects(
                mine["value"].to_numpy(float), levels, units, rng=rng, n_permutations=spec.n_permutations
            )
        except ValueError:
            # Two runs share seed and all factors, so the conditions differ in something else: no factorial.
            continue
        pieces.append(found.drop(columns="p_adj").assign(endpoint=endpoint))
    table = pd.concat(pieces, ignore_index=True)[columns] if pieces else pd.DataFrame(columns=columns)
    return holm(table)


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
