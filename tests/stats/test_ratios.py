"""Shares of a whole difference, and what a table says whatever clusters stand beside the reported ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paribus.stats.bootstrap import widened
from paribus.stats.clusters import reduce_to_clusters
from paribus.stats.effects import complete_table, effect_table
from paribus.stats.inclusion import inclusion
from paribus.stats.max_flip import max_flip
from paribus.stats.ratios import ratios_to
from paribus.stats.simultaneous import max_t_interval
from paribus.stats.spec import StatsSpec

SPEC = StatsSpec(n_bootstrap=300, n_permutations=199)


def rng(seed=0):
    return np.random.default_rng(seed)


def pair(seed, sizes):
    """Return a whole of mean 4 and a part of .4 of it, by cluster."""
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    whole = 4 + rng(seed).normal(size=len(sizes))[cluster]
    part = 0.4 * whole + rng(seed + 10_000).normal(size=len(sizes))[cluster]
    return reduce_to_clusters(whole, cluster), reduce_to_clusters(part, cluster)


@pytest.mark.parametrize("sizes", [[4] * 8, [2, 2, 3, 3, 4, 4, 5, 6, 7, 8]], ids=["equal", "unequal"])
def test_shares_cover_with_few_clusters(sizes):
    found = [ratios_to(*pair(seed, sizes), spec=SPEC, rng=rng(seed)) for seed in range(200)]
    low, high = (np.array([getattr(one, end)[0] for one in found]) for end in ("low", "high"))
    assert ((low <= 0.4) & (high >= 0.4)).mean() > 0.9  # percentiles: .86 and .88
    assert {one.method[0] for one in found} == {"bootstrap_t"}


def test_a_share_agrees_with_a_loop_over_resamples():
    whole, part = pair(3, [2, 5, 1, 3, 3, 4, 2, 6, 1, 2])
    t, s = whole.sums[0], part.sums[0]
    value, k = s.sum() / t.sum(), len(t)

    def se(s, t, rows):
        return np.sqrt(((s - s.sum() / t.sum() * t) ** 2 * left_out[rows]).sum()) / t.sum()

    drawn, loop = rng(5).integers(0, k, size=(300, k)), []
    left_out, everything = (t.sum() / (t.sum() - t)) ** 2, np.arange(k)
    for rows in drawn:
        own = max(se(s[rows], t[rows], rows), 0.1 * se(s, t, everything))
        loop.append((s[rows].sum() / t[rows].sum() - value) / own)
    tail = float(widened(0.025, whole.effective[0]))
    lower, upper = np.quantile(loop, [tail, 1 - tail]) * se(s, t, everything)
    found = ratios_to(whole, part, spec=SPEC, rng=rng(5))
    assert found.value[0] == pytest.approx(value)
    assert [found.low[0], found.high[0]] == pytest.approx([value - upper, value - lower])


def test_a_share_that_is_the_same_everywhere_has_no_interval_and_nothing_is_exactly_nothing():
    whole, _ = pair(0, [3] * 9)
    parts = reduce_to_clusters(np.stack([whole.sums[0], 0 * whole.sums[0]]), np.arange(9))
    total = reduce_to_clusters(whole.sums, np.arange(9))
    found = ratios_to(total, parts, spec=SPEC, rng=rng())
    assert found.value.tolist() == pytest.approx([1, 0])
    assert found.method.tolist() == ["none: units are equal", "exact_zero"]
    assert np.isnan(found.low[0]) and (found.low[1], found.high[1]) == (0, 0)


@pytest.mark.parametrize("n_clusters", [8, 30, 220, 600])
def test_clusters_that_no_row_is_about_change_nothing(n_clusters):
    """Contexts of other splits stand in the same sums: no interval, p or share may depend on how many there are."""
    few = rng().normal([[0.3], [0.0], [-1.0]], 1.0, (3, n_clusters))
    few[1, ::3] = np.nan
    padded = np.concatenate([np.full((3, 40), np.nan), few, np.full((3, 25), np.nan)], axis=1)
    whole = [np.nan_to_num(each[:1], nan=0.0) * 0 + 5 + np.abs(np.nan_to_num(each[:1])) for each in (few, padded)]
    whole[1][np.isnan(padded[:1])] = np.nan
    tables = []
    for values, total in zip((few, padded), whole, strict=True):
        sums = reduce_to_clusters(values, np.arange(values.shape[1]))
        effects = effect_table(sums, np.zeros(0), spec=SPEC, rng=rng(1)).assign(
            inclusion=inclusion(sums, spec=SPEC, rng=rng(2)),
            max_flip=max_flip(sums, rng=rng(3), n_permutations=199) if n_clusters < 10 else 0.0,
            max_t=max_t_interval(sums, np.zeros(0), spec=SPEC, rng=rng(4))[0],
            complete=complete_table(sums)["mean_delta"],
        )
        share = ratios_to(reduce_to_clusters(total, np.arange(total.shape[1])), sums, spec=SPEC, rng=rng(5))
        tables.append(effects.assign(share=share.value, share_low=share.low, share_high=share.high))
    pd.testing.assert_frame_equal(*tables)
