"""Odds ratio and lift of presence in one group of rows against the others, smoothed and by cluster."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.stats import t as student

from paribus.arrays import Floats, Ints
from paribus.stats.clusters import cluster_codes, column_blocks
from paribus.stats.intervals import AT_LEAST_0, LINEARISED, Methods, settle
from paribus.stats.multiplicity import together

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

SMOOTHING = 0.5


@dataclass(frozen=True)
class OddsRatio:
    """An odds ratio with its interval; floats, or arrays of the shape of the counts.

    Example:
        >>> round(float(odds_ratio(20, 20, 20, 20).ratio), 1)
        1.0
    """

    ratio: Any
    low: Any
    high: Any


def odds_ratio(
    a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, *, confidence: float = 0.95, smoothing: float = SMOOTHING
) -> OddsRatio:
    """Return ``(a d) / (b c)`` of independent rows, each count raised by ``smoothing``, with a log-normal interval.

    Haldane (1956) and Anscombe's half counts with Woolf's (1955) variance ``1/a + 1/b + 1/c + 1/d``: finite for
    empty cells, so no sentinel values are needed.

    Args:
        a: Present in the group.
        b: Absent in the group.
        c: Present outside.
        d: Absent outside.
        confidence: Coverage of the interval.
        smoothing: Added to every count.

    Example:
        >>> found = odds_ratio(30, 10, 10, 30)
        >>> round(float(found.ratio), 1), bool(found.low > 1)
        (8.4, True)
    """
    cells = np.stack(np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (a, b, c, d)))) + smoothing
    log = np.log(cells[0] * cells[3] / (cells[1] * cells[2]))
    half = NormalDist().inv_cdf((1 + confidence) / 2) * np.sqrt((1 / cells).sum(axis=0))
    ends = (np.exp(log), np.exp(log - half), np.exp(log + half))
    return OddsRatio(*(float(x) for x in ends)) if np.ndim(log) == 0 else OddsRatio(*ends)


def association_table(
    present: ArrayLike, high: ArrayLike, clusters: ArrayLike, *, spec: StatsSpec, family: int | None = None
) -> pd.DataFrame:
    """Return support, lift and odds ratio of each column's presence in the high rows, with intervals by cluster.

    Log odds ratio and log lift are linearised: each cluster's influence is summed and their variance taken over
    clusters (Liang and Zeger 1986), with a t quantile of ``clusters - 1`` degrees of freedom. Half counts keep
    everything finite; with one row per cluster the odds ratio's interval is nearly Woolf's. Both are 1 where the shares
    are equal, and where only the half counts would say that the smaller share is the larger one.

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
        below 6 clusters.

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
    reach = [float(student.ppf((1 + level) / 2, max(k - 1, 1))) for level in levels]
    cells = [in_high, size_high - in_high, in_rest, size_rest - in_rest]
    odds = _intervals(cells, [1, -1, -1, 1], reach, k, "odds")
    everything = [in_high, size_high + 0 * in_high, in_high + in_rest, size_high + size_rest + 0 * in_high]
    lift = _intervals(everything, [1, -1, -1, 1], reach, k, "lift")
    n, n_high = len(group), int(group.sum())
    a, total = in_high.sum(axis=0), (in_high + in_rest).sum(axis=0)
    return pd.DataFrame(
        {
            "support": total / n,
            "support_high": a / n_high,
            "support_rest": (total - a) / (n - n_high),
            "n_present": total.astype(np.int64),
            "n_high_present": a.astype(np.int64),
            **lift,
            **{"odds_ratio" if name == "odds" else name: values for name, values in odds.items()},
        }
    )


def _intervals(
    counts: list[Floats], signs: list[int], reach: list[float], k: int, name: str
) -> dict[str, Floats | Methods]:
    """Return ``exp(sum_i sign_i log(N_i + 1/2))`` per column with its intervals over clusters, by column name.

    ``counts`` holds each cluster's share [clusters, items] of each total. The half counts enter the variance as in
    Woolf's formula (``1/(N + s) = N/(N + s)^2 + s/(N + s)^2``), so empty cells do not look certain. Half a count weighs
    more in the smaller group (Sweeting, Sutton and Lambert 2004): a direction that it gives or turns is none.
    """
    as_counted = [part.sum(axis=0) for part in counts]
    totals = [total + SMOOTHING for total in as_counted]
    log = np.sum([sign * np.log(total) for sign, total in zip(signs, totals, strict=True)], axis=0)
    direction = np.sign(as_counted[0] * as_counted[3] - as_counted[1] * as_counted[2])
    log = np.where(np.sign(log) == direction, log, 0.0)
    influence = np.sum([sign * part / total for sign, part, total in zip(signs, counts, totals, strict=True)], axis=0)
    influence = influence - influence.mean(axis=0)
    variance = (influence**2).sum(axis=0) * k / max(k - 1, 1) + sum(SMOOTHING / total**2 for total in totals)
    se = np.sqrt(variance)
    own, adjusted = (
        settle(np.exp(log - t * se), np.exp(log + t * se), LINEARISED, k, bounds=AT_LEAST_0) for t in reach
    )
    ends = {"low": own[0], "high": own[1], "method": own[2], "adj_low": adjusted[0], "adj_high": adjusted[1]}
    return {name: np.exp(log), **{f"{name}_{end}": values for end, values in ends.items()}}
