"""Odds ratio and lift of presence in one group of rows against the others, smoothed and by cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.stats import t as student

from paribus.arrays import Floats, Ints
from paribus.stats.clusters import cluster_codes, column_blocks
from paribus.stats.intervals import AT_LEAST_0, LINEARISED, ONE_DECIDES, Methods, settle
from paribus.stats.multiplicity import together

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

SMOOTHING = 0.5
MOST_REACH = 700.0
"""The largest reach of a log ratio: beyond, its exponential is no number, and there is no interval."""


def association_table(
    present: ArrayLike, high: ArrayLike, clusters: ArrayLike, *, spec: StatsSpec, family: int | None = None
) -> pd.DataFrame:
    """Return support, lift and odds ratio of each column's presence in the high rows, with intervals by cluster.

    Log odds ratio and log lift are linearised. Their variance is that of leaving one cluster out (CR3: Bell and
    McCaffrey 2002; MacKinnon, Nielsen and Webb 2023), their degrees of freedom Welch's (1947), clusters counting
    by their effective number (Kish 1965) where they are uneven. Half counts keep everything finite; with one row per
    cluster the odds ratio's interval is nearly Woolf's. Both are 1 where the shares are equal, and where only the half
    counts would say that the smaller share is the larger one.

    Args:
        present: Whether each row holds each item [n, items].
        high: Whether each row belongs to the high group [n]; all others, zeros included, are the rest.
        clusters: Cluster id of each row [n].
        spec: Confidence.
        family: Number of items that ``adj`` intervals hold for together; by default those that some rows hold and some
            do not.

    Returns:
        One row per item: ``support`` (share of all rows), ``support_high, support_rest, n_present, n_high_present,
        lift`` (share of high rows with the item over the share of all rows with it), ``lift_low, lift_high,
        odds_ratio, odds_low, odds_high``; both with ``_method``, ``_adj_low`` and ``_adj_high``. Intervals are NaN
        below 6 clusters, and where all rows of one group are of one cluster.

    Raises:
        ValueError: If shapes disagree, or no row is high, or none is not.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> rng = np.random.default_rng(0)
        >>> present = rng.random((200, 2)) < 0.5
        >>> high = present[:, 0] | (rng.random(200) < 0.2)
        >>> table = association_table(present, high, np.arange(200), spec=StatsSpec())
        >>> (table["odds_low"] > 1).tolist()
        [True, False]
    """
    items, group = np.asarray(present, dtype=bool), np.asarray(high, dtype=bool)
    codes, k = cluster_codes(clusters)
    if items.ndim != 2 or len(items) != len(group) or len(group) != len(codes):
        raise ValueError(f"present {items.shape}, high {group.shape} and {len(codes)} cluster ids do not fit")
    if group.all() or not group.any():
        raise ValueError(f"{int(group.sum())} of {len(group)} rows are high; both groups need rows")
    if family is None:
        held = items.sum(axis=0)
        family = int(((held > 0) & (held < len(items))).sum())
    levels = (spec.confidence, together(spec.confidence, family))
    parts = [_associations(some, group, codes, k, levels) for some in column_blocks(items)]
    return pd.concat(parts, ignore_index=True)


def _associations(
    items: np.ndarray[Any, Any], group: np.ndarray[Any, Any], codes: Ints, k: int, levels: tuple[float, float]
) -> pd.DataFrame:
    """Return the rows of :func:`association_table` of some of the items ``[n, few]``."""

    def by_cluster(rows: np.ndarray[Any, Any]) -> Floats:
        index = np.flatnonzero(rows)
        select = csr_array((np.ones(len(index)), (codes[index], index)), shape=(k, len(rows)))
        return np.asarray(select @ items.astype(np.float64), dtype=np.float64)

    in_high, in_rest = by_cluster(group), by_cluster(~group)
    size_high = np.bincount(codes[group], minlength=k).astype(np.float64)[:, None]
    size_rest = np.bincount(codes[~group], minlength=k).astype(np.float64)[:, None]
    odds = _intervals((in_high, in_rest), (size_high - in_high, size_rest - in_rest), (size_high, size_rest), levels)
    size_all = size_high + size_rest
    whole = [np.broadcast_to(size, in_high.shape) for size in (size_high, size_all)]
    lift = _intervals((in_high, in_high + in_rest), (whole[0], whole[1]), (size_high, size_all), levels)
    n, n_high = len(group), int(group.sum())
    a, total = in_high.sum(axis=0), (in_high + in_rest).sum(axis=0)
    return pd.DataFrame(
        {
            "support": total / n,
            "support_high": a / n_high,
            "support_rest": (total - a) / (n - n_high),
            "n_present": total.astype(np.int64),
            "n_high_present": a.astype(np.int64),
            **{f"lift{end}": values for end, values in lift.items()},
            **{f"odds{end}" if end else "odds_ratio": values for end, values in odds.items()},
        }
    )


def _intervals(
    held: tuple[Floats, Floats],
    against: tuple[Floats, Floats],
    sizes: tuple[Floats, Floats],
    levels: tuple[float, float],
) -> dict[str, Floats | Methods]:
    """Return ``(h1 / a1) / (h2 / a2)`` per column with its intervals over clusters, by the end of the column's name.

    Every total ``h`` and ``a`` is raised by half a count. These enter the variance as in Woolf's formula
    (``1/(N + s) = N/(N + s)^2 + s/(N + s)^2``), so empty cells do not look certain. Half a count weighs more in the
    smaller group (Sweeting, Sutton and Lambert 2004): a direction that it gives or turns is none.

    Args:
        held: ``h`` of each cluster in the first and in the second group ``[clusters, items]``.
        against: ``a`` likewise.
        sizes: Rows of each cluster in each group ``[clusters, 1]``.
        levels: Confidence of the interval and of the adjusted one.
    """
    counted = [part.sum(axis=0) for part in (*held, *against)]
    h1, h2, a1, a2 = (total + SMOOTHING for total in counted)
    log = np.log(h1 * a2 / (h2 * a1))
    log = np.where(np.sign(log) == np.sign(counted[0] * counted[3] - counted[1] * counted[2]), log, 0.0)
    half_counts = sum(SMOOTHING / total**2 for total in (h1, h2, a1, a2))
    first, second = (_left_out(*one) for one in zip(held, against, sizes, strict=True))
    se = np.sqrt(((first - second) ** 2).sum(axis=0) + half_counts)
    df = _degrees_of_freedom((first, second), sizes)
    k = len(sizes[0])
    decided = ~np.isfinite(se)
    named = np.where(decided, ONE_DECIDES, LINEARISED)
    ends = []
    for level in levels:
        reach = np.where(decided, np.nan, student.ppf((1 + level) / 2, df) * se)
        reach[reach > MOST_REACH] = np.nan
        ends.append(settle(np.exp(log - reach), np.exp(log + reach), named, k, bounds=AT_LEAST_0))
    own, adjusted = ends
    parts = {"_low": own[0], "_high": own[1], "_method": own[2], "_adj_low": adjusted[0], "_adj_high": adjusted[1]}
    return {"": np.exp(log), **parts}


def _left_out(held: Floats, against: Floats, size: Floats) -> Floats:
    """Return by how much ``log(h / a)`` of one group changes without each cluster, linearised ``[clusters, items]``.

    Not finite where the group has no other cluster.
    """
    influence = held / (held.sum(axis=0) + SMOOTHING) - against / (against.sum(axis=0) + SMOOTHING)
    influence = influence - size / size.sum() * influence.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(influence * (size.sum() / (size.sum() - size)))


def _degrees_of_freedom(parts: tuple[Floats, Floats], sizes: tuple[Floats, Floats]) -> Floats:
    """Return Welch's (1947) degrees of freedom [items], those of a group being ``clusters - 1`` where it is even.

    All clusters count by the effective share of those that the group is in, ``(sum n)^2 / (m sum n^2)``.
    """
    k, variances = len(sizes[0]), [(part**2).sum(axis=0) for part in parts]
    known = [max(k * float(size.sum() ** 2 / (size**2).sum() / (size > 0).sum()) - 1, 1.0) for size in sizes]
    with np.errstate(divide="ignore", invalid="ignore"):
        df = sum(variances) ** 2 / sum(variance**2 / each for variance, each in zip(variances, known, strict=True))
    return np.where(np.isfinite(df), np.clip(df, 1.0, max(k - 1, 1)), min(known))
