"""Effects: paired differences to the same context's baseline, with interval, test and null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from paribus.arrays import Bools, Floats
from paribus.stats.bootstrap import mean_intervals
from paribus.stats.clusters import ClusterSums, supported_sums
from paribus.stats.intervals import EQUAL_UNITS, NO_SAMPLE, Bounds, too_few
from paribus.stats.multiplicity import adjust
from paribus.stats.nulls import placed
from paribus.stats.permutation import draws_for, sign_flip_rows
from paribus.stats.simultaneous import adjusted_intervals

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

SKEW_BELOW_CLUSTERS = 50
SKEW_LIMIT = 1.0


def effect_table(
    differences: ArrayLike | ClusterSums,
    clusters: ArrayLike,
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
    null: ArrayLike | None = None,
    bounds: Bounds | None = None,
    least: int = 1,
) -> pd.DataFrame:
    """Return one effect per row of paired differences; the rows are one family.

    Args:
        differences: Differences to the same context's baseline [rows, contexts]; NaN where a context does not
            support the row's level. Or their sums over clusters.
        clusters: Cluster id of each context [contexts].
        spec: Resamples, confidence, least Monte Carlo draws, adjustment.
        rng: Draws resamples and flips.
        null: Draws of a named null for the means, [rows, n_null] or [n_null]; adds the four ``null_`` columns.
        bounds: Range of the means, to which intervals are cut.
        least: Contexts below which a row is not tested: it has neither p nor interval, and is not in the family.

    Returns:
        A frame in the order of the rows, with the columns

        * ``mean_delta``: Mean paired difference, each context weighing the same.
        * ``std_delta``: Sample standard deviation of the differences.
        * ``std_error``: Cluster-robust standard error of the mean; too small where one cluster has much of the
          contexts.
        * ``n``: Contexts that support the level.
        * ``n_clusters``: Their clusters.
        * ``ci_low``: Lower end of the interval; NaN where there is none. A two-sided p above ``1 - confidence`` goes
          with an interval that holds 0.
        * ``ci_high``: Upper end.
        * ``ci_adj_low``: Lower end of the interval that holds for all rows of the family simultaneously; to be reported
          with ``p_adj``.
        * ``ci_adj_high``: Its upper end.
        * ``p``: p of the sign-flip test over clusters.
        * ``p_adj``: p adjusted over the family (the table).
        * ``ci_method``: ``bootstrap_t``, ``percentile``, ``exact_zero``, or ``none: ...`` with the reason.
        * ``p_method``: ``exact``, ``monte_carlo`` or ``none``.
        * ``skewed``: Whether p should be read with care: under 50 clusters, and skewed cluster sums.
        * ``null_low``: 2.5 % quantile of the named null; NaN without one.
        * ``null_median``: Its median.
        * ``null_high``: Its 97.5 % quantile.
        * ``null_percentile``: Percentile of ``mean_delta`` in the null, 0 to 100; not a p.

    Raises:
        ValueError: If shapes disagree, or a difference is infinite.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> rng = np.random.default_rng(0)
        >>> differences = rng.normal([[0.0], [1.0], [2.0]], 1.0, (3, 80))
        >>> table = effect_table(differences, np.arange(80) // 2, spec=StatsSpec(), rng=rng)
        >>> table[["n", "n_clusters"]].values.tolist()
        [[80, 40], [80, 40], [80, 40]]
        >>> (table["p_adj"] < 0.05).tolist()
        [False, True, True]
    """
    sums = supported_sums(differences, clusters)
    together = rng.spawn(1)[0]
    low, high, ci_method = mean_intervals(sums, spec=spec, rng=rng, bounds=bounds)
    m = draws_for(len(sums.sums), spec.n_permutations)
    p, p_method = sign_flip_rows(sums.sums, rng=rng, n_permutations=m)
    kept = p > 1 - spec.confidence  # where the test does not reject 0 the interval does not either
    low[kept], high[kept] = np.minimum(low[kept], 0.0), np.maximum(high[kept], 0.0)
    untested = sums.n < least
    p[untested], low[untested], high[untested] = np.nan, np.nan, np.nan
    p_method[untested] = [too_few(int(n), "context") for n in sums.n[untested]]
    ci_method[untested] = p_method[untested]
    adj_low, adj_high = adjusted_intervals(sums, (low, high), ~untested, spec=spec, rng=together, bounds=bounds)
    tested = {
        "ci_low": low,
        "ci_high": high,
        "ci_adj_low": adj_low,
        "ci_adj_high": adj_high,
        "p": p,
        "p_adj": adjust(p, spec.adjust),
        "ci_method": ci_method,
        "p_method": p_method,
        "skewed": skewed(sums),
    }
    return _table(sums, sums.standard_errors(), tested, null)


def complete_table(sums: ClusterSums, *, null: ArrayLike | None = None) -> pd.DataFrame:
    """Return the effects in a completely measured population: :func:`effect_table` without inference over contexts.

    Where the contexts are the whole population, their mean is not an estimate: every effect would be significant, and
    its interval would depend on the choice of clusters. The percentile in a null of other units or donors is still
    reported.

    Args:
        sums: The differences, by cluster.
        null: As for :func:`effect_table`.

    Returns:
        The same columns; standard error, intervals and p are NaN, and the methods say why.

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> table = complete_table(reduce_to_clusters([[1.0, 2.0, 3.0]], np.arange(3)))
        >>> table[["mean_delta", "std_delta", "p", "p_method"]].values.tolist()
        [[2.0, 1.0, nan, 'none: population complete']]
    """
    k = len(sums.sums)
    missing, why = np.full(k, np.nan), np.full(k, NO_SAMPLE, dtype=object)
    tested = dict.fromkeys(("ci_low", "ci_high", "ci_adj_low", "ci_adj_high", "p", "p_adj"), missing)
    tested |= {"ci_method": why, "p_method": why, "skewed": np.zeros(k, np.bool_)}
    return _table(sums, missing, tested, null)


def _table(sums: ClusterSums, errors: Floats, tested: Mapping[str, Any], null: ArrayLike | None) -> pd.DataFrame:
    columns = {
        "mean_delta": sums.means,
        "std_delta": sums.sd,
        "std_error": errors,
        "n": sums.n.astype(np.int64),
        "n_clusters": sums.n_clusters if sums.joined is None else sums.joined,
        **tested,
    }
    if null is not None:
        draws = np.broadcast_to(np.asarray(null, dtype=np.float64), (len(sums.sums), np.shape(null)[-1]))
        columns |= placed(sums.means, draws, scale=sums.scale)
    return pd.DataFrame(columns)


def established(
    table: pd.DataFrame, *, level: float, margin: float = 0.0, value: str = "mean_delta", names: str = "{}"
) -> Bools:
    """Return which rows of an effect table may be said to differ from 0, or to lie beyond ``margin``, on one side.

    The criterion of every claim in a report: ``p_adj`` is at most the level, and the simultaneous interval lies beyond
    the margin. Where all clusters show the same effect there is no interval, and the effect itself must lie beyond the
    margin.

    Args:
        table: A table with ``p_adj, ci_adj_low, ci_adj_high, ci_method`` and the value.
        level: Level of the adjusted p.
        margin: Least effect that counts, in units of the value.
        value: Name of the column of the effect.
        names: How the other four columns are named, e.g. ``own_{}``.

    Returns:
        ``[rows]``; False where a row was not tested.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> rng = np.random.default_rng(0)
        >>> shifted = rng.normal(0, 1, (2, 60)) + np.array([[0.0], [2.0]])
        >>> table = effect_table(shifted, np.arange(60), spec=StatsSpec(), rng=rng)
        >>> established(table, level=0.05).tolist()
        [False, True]
    """
    low, high = (table[names.format(f"ci_adj_{end}")].to_numpy(dtype=np.float64) for end in ("low", "high"))
    equal = (table[names.format("ci_method")] == EQUAL_UNITS).to_numpy() & (
        np.abs(table[value].to_numpy(dtype=np.float64)) > margin
    )
    beyond = (low > margin) | (high < -margin) | equal
    return np.asarray(beyond & (table[names.format("p_adj")] <= level).to_numpy(), dtype=np.bool_)


def skewed(sums: ClusterSums) -> Bools:
    """Return where sign flips are questionable [rows]: under 50 clusters and |skew| of the cluster sums above 1.

    The sign-flip test takes cluster sums to be symmetric about 0 under the hypothesis; with many clusters the mean
    is nearly symmetric anyway.

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> one_large = np.r_[np.zeros(19), 10.0]
        >>> skewed(reduce_to_clusters([one_large, np.arange(20.0)], np.arange(20))).tolist()
        [True, False]
    """
    k = sums.n_clusters
    flagged = np.zeros(len(k), dtype=np.bool_)
    for row in np.flatnonzero((k >= 3) & (k < SKEW_BELOW_CLUSTERS)):
        of_clusters = sums.sums[row, sums.counts[row] > 0]
        centred = of_clusters - of_clusters.mean()
        second = float((centred**2).mean())
        if second > 1e-20 * float((of_clusters**2).max()):
            flagged[row] = abs(float((centred**3).mean())) > SKEW_LIMIT * second**1.5
    return flagged


def skew_warnings(table: pd.DataFrame, labels: Sequence[object] | None = None, *, what: str = "effects") -> list[str]:
    """Return the warning about skewed cluster sums in an effect table (an empty list, or one line).

    Args:
        table: A table of :func:`effect_table`.
        labels: Name of each row; by default the table's index.
        what: What the rows are, for the message.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> rng = np.random.default_rng(0)
        >>> table = effect_table(rng.normal(1, 1, (2, 60)), np.arange(60), spec=StatsSpec(), rng=rng)
        >>> skew_warnings(table)
        []
    """
    flagged = np.flatnonzero(table["skewed"].to_numpy(dtype=bool))
    if not len(flagged):
        return []
    names = list(table.index) if labels is None else list(labels)
    shown = ", ".join(str(names[i]) for i in flagged[:5]) + (", ..." if len(flagged) > 5 else "")
    return [
        f"{what}: cluster sums are skewed (|skew| > {SKEW_LIMIT:g}) with fewer than {SKEW_BELOW_CLUSTERS} clusters in "
        f"{len(flagged)} of {len(table)} rows ({shown}); the sign-flip p assumes symmetry, prefer the interval"
    ]
