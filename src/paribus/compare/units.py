"""What is independent in a comparison: the trained models of one seed, their training-set sizes averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

COLUMNS = ("endpoint", "label", "unit", "training", "seed", "value", "auroc_change", "n_sizes")


@dataclass(frozen=True)
class Arms:
    """The outcomes of two conditions by seed.

    Attributes:
        a: Of the condition.
        b: Of the reference.
        left_out: Sizes and runs that could not enter, as text; empty if all did.
    """

    a: dict[Any, float]
    b: dict[Any, float]
    left_out: str


def units_of(effects: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return one row per endpoint, condition and seed: the mean over the training-set sizes that all its seeds have.

    Runs that share a seed are not independent, so the seed is the unit; a mean over sizes compares seeds only where it
    is over the same sizes.

    Args:
        effects: One row per run and endpoint.

    Returns:
        The rows, and sentences about sizes that were left out because some seeds lack them.
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for (endpoint, condition), mine in effects.groupby(["endpoint", "training"], sort=False):
        by_seed, ranking = _by_seed(mine, "value"), _by_seed(mine, "auroc_change")
        common = set.intersection(*(set(sizes) for sizes in by_seed.values()))
        every = set().union(*(set(sizes) for sizes in by_seed.values()))
        if every - common:
            kept = f"only n_train={_listed(common)} enters" if common else "each seed's mean is over its own"
            notes.append(f"{endpoint}, {condition}: not all seeds have n_train={_listed(every - common)}; {kept}.")
        for seed, sizes in by_seed.items():
            chosen = set(sizes) & (common or every)
            first = {name: mine[name].iloc[0] for name in ("endpoint", "label", "unit", "training")}
            means = {"value": _mean(sizes, chosen), "auroc_change": _mean(ranking[seed], chosen)}
            rows.append({**first, "seed": seed, **means, "n_sizes": len(chosen)})
    return pd.DataFrame(rows, columns=list(COLUMNS)), notes


def arms_of(effects: pd.DataFrame, condition: str, reference: str, column: str = "value") -> Arms:
    """Return the outcomes of a condition and of the reference by seed, over the same training-set sizes.

    Where both have the same seeds, a seed's outcomes are averaged over the sizes that both arms have of this seed, so
    that a pair never differs in size; otherwise over the sizes that all seeds of both arms have.

    Args:
        effects: One row per run of one endpoint.
        condition: Training condition of the first arm.
        reference: Training condition of the second.
        column: The outcome.
    """
    a, b = (_by_seed(effects[effects["training"] == name], column) for name in (condition, reference))
    if not a or not b:
        found = [{seed: _mean(sizes, set(sizes)) for seed, sizes in arm.items()} for arm in (a, b)]
        return Arms(found[0], found[1], "")
    if set(a) == set(b):
        shared = {seed: set(a[seed]) & set(b[seed]) for seed in a}
    else:
        common = set.intersection(*(set(sizes) for arm in (a, b) for sizes in arm.values()))
        shared = dict.fromkeys({*a, *b}, common)
    kept = [{seed: _mean(arm[seed], shared[seed]) for seed in arm if shared[seed]} for arm in (a, b)]
    gone = sorted(
        {size for arm in (a, b) for seed, sizes in arm.items() for size in set(sizes) - shared[seed]}, key=str
    )
    text = f"sizes that not both arms have of a seed left out: {_listed(set(gone))}" if gone else ""
    return Arms(kept[0], kept[1], text)


def _by_seed(rows: pd.DataFrame, column: str) -> dict[Any, dict[Any, float]]:
    """Return by seed the value of every size; an unknown size is None."""
    found: dict[Any, dict[Any, list[float]]] = {}
    for seed, size, value in zip(rows["seed"], rows["n_train"], rows[column], strict=True):
        key = None if pd.isna(size) else int(size)
        found.setdefault(None if pd.isna(seed) else seed, {}).setdefault(key, []).append(float(value))
    return {seed: {n: sum(v) / len(v) for n, v in sizes.items()} for seed, sizes in found.items()}


def _mean(sizes: dict[Any, float], chosen: set[Any]) -> float:
    values = [value for size, value in sizes.items() if size in chosen]
    return sum(values) / len(values)


def _listed(sizes: set[Any]) -> str:
    return ", ".join("unknown" if size is None else str(size) for size in sorted(sizes, key=str))
