"""Intervals against those of scipy, statsmodels and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from paribus.stats.effects import effect_table
from paribus.stats.odds import association_table
from paribus.stats.pooling import pool_groups
from paribus.stats.score_intervals import score_interval
from paribus.stats.scores import balanced_accuracy
from paribus.stats.shares import share_gap, shares
from paribus.stats.simultaneous import max_t_interval
from paribus.stats.spec import StatsSpec

SPEC = StatsSpec()


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_mean_has_nearly_the_cluster_robust_interval_of_statsmodels():
    values = rng().normal(1, 1, 150) + np.repeat(rng(1).normal(size=50), 3)
    clusters = np.repeat(np.arange(50), 3)
    fitted = sm.OLS(values, np.ones(150)).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    low, high = fitted.conf_int()[0]
    table = effect_table(values, clusters, spec=SPEC, rng=rng(2))
    assert table.std_error[0] == pytest.approx(fitted.bse[0], rel=0.01)
    assert (table.ci_low[0], table.ci_high[0]) == pytest.approx((low, high), abs=0.06 * (high - low))


def test_shares_and_their_gap_are_those_of_statsmodels_where_rows_are_independent():
    first, second = rng().random((1500, 1)) < 0.7, rng(1).random((1200, 1)) < 0.6
    a, b = shares(first, np.arange(1500), spec=SPEC), shares(second, np.arange(1200), spec=SPEC)
    low, high = proportion_confint(first.sum(), 1500, method="wilson")
    assert (a.low[0], a.high[0]) == pytest.approx((low, high), abs=1e-4)
    gap = share_gap(a, b)
    ends = confint_proportions_2indep(first.sum(), 1500, second.sum(), 1200, method="newcomb")
    assert (gap.low[0], gap.high[0]) == pytest.approx(ends, abs=2e-4)
    assert gap.share[0] == pytest.approx(first.mean() - second.mean())


def test_log_odds_have_the_cluster_robust_interval_of_a_logistic_regression():
    clusters = np.repeat(np.arange(200), 4)
    high = (rng().random(200) < 0.5)[clusters]
    held = rng(1).random(800) < np.where(high, 0.45, 0.3)
    design = sm.add_constant(high.astype(float))
    fitted = sm.GLM(held.astype(float), design, family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True
    )
    row = association_table(held[:, None], high, clusters, spec=SPEC).iloc[0]
    assert np.log(row.odds_ratio) == pytest.approx(fitted.params[1], rel=0.02)
    low, high_end = fitted.conf_int()[1]
    assert (np.log(row.odds_low), np.log(row.odds_high)) == pytest.approx((low, high_end), abs=0.03 * (high_end - low))


def test_adjusted_odds_are_those_at_the_level_of_bonferroni():
    clusters, high = np.arange(120), rng().random(120) < 0.4
    held = rng(1).random((120, 5)) < 0.3
    held[:, 4] = True  # held by all rows: not in the family
    wide = association_table(held, high, clusters, spec=StatsSpec(confidence=1 - 0.05 / 4))
    table = association_table(held, high, clusters, spec=SPEC)
    np.testing.assert_allclose(table[["odds_adj_low", "lift_adj_high"]], wide[["odds_low", "lift_high"]], rtol=1e-12)


def test_a_difference_of_groups_has_nearly_the_interval_of_welch():
    y, group = rng().normal(size=400), np.repeat([0, 1, 2, 3], 100)
    y[group == 1] += 0.5
    row = pool_groups(y, group, np.arange(400), spec=SPEC).table.iloc[1]
    test = scipy_stats.ttest_ind(y[group == 1], y[group != 1], equal_var=False).confidence_interval()
    assert (row.delta_low, row.delta_high) == pytest.approx((test.low, test.high), abs=0.04 * (test.high - test.low))


def heavier(df, t):
    return scipy_stats.t.isf(0.01, df) >= np.quantile(t, 0.98)


def test_the_simultaneous_interval_is_that_of_plain_loops():
    """Rows of many and of few clusters; t of each row by itself, ranked by its tail under Student's t.

    That of a row of few clusters has the degrees of freedom with which its 1 % tails hold those of the row's own t.
    """
    values = rng().normal(size=(4, 40)) + rng(1).normal(size=40) + 0.3
    values[2:, 9:] = np.nan
    low, high = max_t_interval(values, np.arange(40), spec=StatsSpec(n_bootstrap=4000), rng=rng(2))
    draw, t = rng(3), np.zeros((4, 4000))
    rows = [row[~np.isnan(row)] for row in values]
    for number in range(4000):
        sampled = values[:, draw.integers(0, 40, 40)]
        for place, (own, sample) in enumerate(zip(rows, sampled, strict=True)):
            x = sample[~np.isnan(sample)]
            if len(x):
                se = own.std(ddof=1) / np.sqrt(len(own) - 1)
                spread = len(own) / (len(own) - 1) * np.sqrt(((x - x.mean()) ** 2).sum()) / len(x)
                t[place, number] = abs(x.mean() - own.mean()) / max(spread, se / 10)
    scales = [39, 39, *(max(df for df in range(1, 9) if heavier(df, each)) for each in t[2:])]
    tails = np.min([scipy_stats.t.sf(each, df) for df, each in zip(scales, t, strict=True)], axis=0)
    level = np.quantile(tails, 0.05)
    for own, df, a, b in zip(rows, scales, low, high, strict=True):
        reach = scipy_stats.t.isf(level, df) * own.std(ddof=1) / np.sqrt(len(own) - 1)
        assert (a + b) / 2 == pytest.approx(own.mean())
        assert (b - a) / 2 == pytest.approx(reach, rel=0.12)


def test_a_flawless_score_has_the_interval_of_its_classes():
    """Nothing to resample: recall of each class by Wilson on the rows that its clusters are worth, added in squares."""
    labels, clusters = np.repeat([0, 1, 2], [60, 40, 20]), np.arange(120) // 2
    found = score_interval(labels, labels, clusters, metric="balanced_accuracy", spec=SPEC, rng=rng())
    below = []
    for size in (60, 40, 20):
        t2 = scipy_stats.t.ppf(0.975, size / 2 - 1) ** 2 / (size / 2)
        below.append(1 - 1 / (1 + t2))
    assert found.method == "wilson_by_class" and found.high == 1
    assert found.low == pytest.approx(1 - np.sqrt(np.square(below).sum()) / 3)
    weighted = score_interval(
        labels, labels, clusters, metric="balanced_accuracy", spec=SPEC, rng=rng(), weights=np.tile([1.0, 3.0], 60)
    )
    assert weighted.low == pytest.approx(found.low)  # clusters weigh the same
    wrong = score_interval(2 - labels, labels, clusters, metric="accuracy", spec=SPEC, rng=rng())
    assert wrong.method != "wilson_by_class" and balanced_accuracy(2 - labels, labels) == pytest.approx(1 / 3)
    none = score_interval(labels[:8], labels[:8], clusters[:8], metric="accuracy", spec=SPEC, rng=rng())
    assert np.isnan(none.low) and none.method == "none: 4 clusters"


def test_an_area_that_no_pair_speaks_against_has_no_interval():
    labels = np.arange(40) % 2
    found = score_interval(labels.astype(float), labels, np.arange(40), metric="auroc", spec=SPEC, rng=rng())
    assert np.isnan(found.low) and found.method == "none: units are equal"
