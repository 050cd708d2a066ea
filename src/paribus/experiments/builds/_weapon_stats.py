"""Observational statistics of weapons: how high a feature is in the contexts that happen to hold each."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from paribus.arrays import Floats, Ints
from paribus.experiments.builds.setup import BuildSetup
from paribus.stats import intervals
from paribus.stats.levels import level_permutation
from paribus.stats.multiplicity import adjust, together
from paribus.stats.permutation import draws_for
from paribus.stats.pooling import pool_groups
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.weapons import Weapons

POOLED_COLUMNS = (
    "pooled_mean", "ci_low", "ci_high", "ci_method", "shrinkage", "rest_mean", "delta", "delta_low", "delta_high",
    "delta_method", "delta_adj_low", "delta_adj_high", "ratio", "ratio_low", "ratio_high", "ratio_method",
    "ratio_adj_low", "ratio_adj_high",
)  # fmt: skip


def weapon_labels(weapons: Weapons) -> list[str]:
    """Return a distinct name for every weapon: its name in the game, with its token where two share one."""
    labels = weapons.labels()
    return [
        f"{label} ({token})" if labels.count(label) > 1 else label
        for label, token in zip(labels, weapons.names, strict=True)
    ]


def weapon_means(setup: BuildSetup, min_examples: int) -> tuple[Floats, Ints]:
    """Return the mean observed activation with each weapon (NaN below ``min_examples`` contexts), and the counts."""
    size = setup.weapons.size
    weapon = setup.contexts.weapon.astype(np.int64)
    n = np.bincount(weapon, minlength=size)
    f = setup.observed.f
    level = float(f[0])  # means of equal values are then exactly equal
    sums = np.bincount(weapon, weights=f - level, minlength=size)
    enough = n >= min_examples
    return np.where(enough, level + sums / np.maximum(n, 1), np.nan), n


def weapon_table(setup: BuildSetup, min_examples: int) -> pd.DataFrame:
    """Return one row per weapon with enough contexts, highest pooled mean first.

    Means are partially pooled (weapons with few contexts are shrunk towards the others); every weapon is compared with
    the mean of all contexts that hold another one; p moves whole source builds between weapons.
    """
    weapon, f = setup.contexts.weapon.astype(np.int64), setup.observed.f
    n = np.bincount(weapon, minlength=setup.weapons.size)
    firing = np.bincount(weapon, weights=f > 0, minlength=setup.weapons.size)
    labels, kits = weapon_labels(setup.weapons), setup.weapons.weapons
    found = pooled(f, weapon, setup.cluster, setup.stats, bounds=setup.activation_bounds)
    index = found["group"].to_numpy()
    test = level_permutation(
        f,
        weapon,
        setup.cluster,
        rng=setup.rng("weapon_stats"),
        n_permutations=draws_for(len(index), setup.stats.n_permutations),
    )
    frame = pd.DataFrame(
        {
            "weapon": [labels[i] for i in index],
            "weapon_index": index,
            "kind": [kits[i].kind for i in index],
            "sub": [kits[i].sub for i in index],
            "special": [kits[i].special for i in index],
            "n": found["n"],
            "n_clusters": found["n_clusters"],
            "mean_activation": found["mean"],
            "firing_rate": firing[index] / n[index],
            "std_error": found["std_error"],
            **{name: found[name] for name in POOLED_COLUMNS},
            "p": test.p,
            "p_method": test.method,
        }
    )
    frame = frame[frame["n"] >= min_examples].copy()
    frame["p_adj"] = adjust(frame["p"].to_numpy(), setup.stats.adjust)
    return frame.sort_values("pooled_mean", ascending=False, kind="stable", ignore_index=True)


def pooled(
    values: Floats,
    groups: Ints,
    clusters: Ints,
    spec: StatsSpec,
    *,
    bounds: intervals.Bounds | None = None,
    unit: str = "cluster",
) -> pd.DataFrame:
    """Return group means with partial pooling; plain means without intervals where nothing can be pooled.

    Groups of fewer than 6 clusters have no interval. ``delta_adj`` and ``ratio_adj`` hold for all groups together
    (Bonferroni).

    Args:
        values: Values ``[n]``.
        groups: Group of each ``[n]``.
        clusters: Cluster of each ``[n]``.
        spec: Confidence.
        bounds: Range of the values, which intervals of means do not leave; where they are never negative, nor are the
            ratios. None where they have none.
        unit: What a cluster is, in words.
    """
    if np.ptp(values) > 0:
        try:
            frame = pool_groups(values, groups, clusters, spec=spec).table
        except ValueError:  # a single group, or each seen in one cluster only: variance within groups is unknown
            frame = _unpooled(values, groups, clusters)
            wide = frame
        else:
            several = int((frame["n_clusters"] >= intervals.MIN_CLUSTERS).sum())
            adjusted = dataclasses.replace(spec, confidence=together(spec.confidence, several))
            wide = pool_groups(values, groups, clusters, spec=adjusted).table
    else:
        frame = wide = _unpooled(values, groups, clusters)
    single = len(frame) == 1
    pooling = np.where(frame.pop("skewed"), intervals.EMPIRICAL_BAYES_SKEWED, intervals.EMPIRICAL_BAYES)
    made_by: dict[str, ArrayLike | str] = {"ci": pooling, "delta": intervals.WELCH, "ratio": intervals.FIELLER}
    ranges = {"ci": bounds, "delta": None, "ratio": intervals.AT_LEAST_0 if bounds and bounds[0] >= 0 else None}
    for name, method in made_by.items():
        if single:
            method = intervals.ONE_GROUP
        elif name == "delta" and not np.ptp(values):
            method = intervals.EXACT_ZERO
        for table, head in ((frame, name), (wide, f"{name}_adj")):
            low, high, named = intervals.settle(
                table[f"{name}_low"],
                table[f"{name}_high"],
                method,
                frame["n_clusters"],
                bounds=ranges[name],
                unit=unit,
            )
            if name == "ratio":
                named[named == intervals.NO_VALUES] = intervals.NEAR_ZERO
            frame[f"{head}_low"], frame[f"{head}_high"] = low, high
            if head == name:
                frame[f"{name}_method"] = named
    return frame.drop(columns=["ci_adj_low", "ci_adj_high"])


def _unpooled(values: Floats, groups: Ints, clusters: Ints) -> pd.DataFrame:
    """Return plain group means in the columns of pooled ones, without intervals; equal values differ by exactly 0."""
    rows = []
    names = np.unique(groups)
    for name in names:
        inside = groups == name
        own = float(values[inside].mean())
        rest = float(values[~inside].mean()) if (~inside).any() else float("nan")
        rows.append((name, int(inside.sum()), len(np.unique(clusters[inside])), own, own, rest, own - rest))
    frame = pd.DataFrame(rows, columns=["group", "n", "n_clusters", "mean", "pooled_mean", "rest_mean", "delta"])
    constant = np.ptp(values) == 0 and len(names) > 1
    if constant:
        level = float(values[0])
        frame[["mean", "pooled_mean", "rest_mean"]] = level
        frame["delta"] = 0.0
    zero, own_mean = (0.0, frame["mean"]) if constant else (np.nan, np.nan)
    frame = frame.assign(std_error=zero, pooled_se=zero, ci_low=own_mean, ci_high=own_mean, shrinkage=0.0)
    frame = frame.assign(delta_low=zero, delta_high=zero, skewed=False)
    with np.errstate(invalid="ignore", divide="ignore"):
        frame["ratio"] = frame["pooled_mean"].to_numpy() / frame["rest_mean"].to_numpy()
    bound = frame["ratio"] if constant else np.nan
    return frame.assign(ratio_low=bound, ratio_high=bound)


WEAPON_COLUMNS = {
    "n": "contexts that hold the weapon",
    "n_clusters": "source builds they come from",
    "mean_activation": "plain mean of f over them",
    "pooled_mean": "mean with partial pooling: drawn towards the other weapons by as much as it is uncertain",
    "ci_low": "lower end of the interval of pooled_mean",
    "ci_high": "upper end",
    "ci_method": "how it was made; none: why there is none; delta_method, ratio_method likewise",
    "shrinkage": "0 not pooled, 1 fully",
    "rest_mean": "mean over all contexts that hold another weapon",
    "delta": "mean_activation - rest_mean, not pooled",
    "delta_low": "lower end of its interval (t with Welch's degrees of freedom)",
    "delta_adj_low": "lower end of the interval of delta that holds for all rows together (Bonferroni); beside p_adj",
    "ratio_adj_low": "lower end of the interval of ratio that holds for all rows together",
    "p_method": "monte_carlo, or none: why there is no test",
    "ratio": "pooled_mean / rest_mean",
    "ratio_low": "lower end of its interval (Fieller); blank where the rest may be 0",
    "p": "weapons permuted over whole source builds: does this weapon's mean differ from the rest?",
    "p_adj": "p adjusted over the rows of this table",
}
