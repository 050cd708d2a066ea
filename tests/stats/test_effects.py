"""Effects of planted and absent differences, their shapes, and their special cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from paribus.stats.effects import effect_table, established, skew_warnings
from paribus.stats.spec import StatsSpec

SPEC = StatsSpec(n_bootstrap=500, n_permutations=999)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def effect(values, clusters, *, spec=SPEC, rng=None, **how):
    generator = np.random.default_rng(1) if rng is None else rng
    return effect_table(values, clusters, spec=spec, rng=generator, **how).iloc[0]


def test_columns_come_in_the_promised_order_with_one_row_per_row():
    table = effect_table(rng().normal(size=(3, 50)), np.arange(50), spec=SPEC, rng=rng(1), null=np.zeros(10))
    assert list(table.columns) == [
        "mean_delta", "std_delta", "std_error", "n", "n_clusters", "ci_low", "ci_high", "ci_adj_low",
        "ci_adj_high", "p", "p_adj", "ci_method", "p_method", "skewed", "null_low",
        "null_median", "null_high", "null_percentile",
    ]  # fmt: skip
    assert len(table) == 3


def test_one_context_per_cluster_gives_the_textbook_standard_error():
    values = rng().normal(size=80)
    found = effect(values, np.arange(80))
    assert found.mean_delta == pytest.approx(values.mean())
    assert found.std_delta == pytest.approx(values.std(ddof=1))
    assert found.std_error == pytest.approx(scipy_stats.sem(values))


def test_clusters_of_equal_size_give_the_standard_error_of_the_cluster_means():
    values = rng().normal(size=(30, 5)) + rng(1).normal(size=(30, 1))
    found = effect(values.ravel(), np.repeat(np.arange(30), 5), spec=SPEC, rng=rng(2))
    assert found.std_error == pytest.approx(scipy_stats.sem(values.mean(axis=1)))
    assert found.n == 150
    assert found.n_clusters == 30


def test_a_planted_effect_is_found_and_a_null_row_is_not():
    differences = rng().normal(size=(2, 200))
    differences[0] += 0.5
    table = effect_table(differences, np.repeat(np.arange(50), 4), spec=SPEC, rng=rng(1))
    assert table.p_adj[0] < 0.01
    assert table.ci_low[0] > 0
    assert table.ci_low[0] < 0.5 < table.ci_high[0]
    assert table.p_adj[1] > 0.05
    assert table.ci_low[1] < 0 < table.ci_high[1]


def test_unsupported_contexts_are_left_out():
    values = rng().normal(size=60) + 1
    padded = np.concatenate([values, np.full(40, np.nan)])
    clusters = np.arange(100) // 2
    a = effect_table(np.stack([padded, rng(1).normal(size=100)]), clusters, spec=SPEC, rng=rng(2)).iloc[0]
    b = effect(values, clusters[:60], spec=SPEC, rng=rng(2))
    assert (a.n, a.n_clusters, a.mean_delta, a.std_error) == (b.n, b.n_clusters, b.mean_delta, b.std_error)
    assert a.ci_method == "bootstrap_t"


def test_effects_of_exactly_zero_have_p_one_and_an_interval_of_zero():
    table = effect_table(np.zeros((2, 100)), np.arange(100) // 5, spec=SPEC, rng=rng())
    assert (table.p == 1).all()
    assert (table[["ci_low", "ci_high", "mean_delta", "std_error"]] == 0).all(axis=None)


def test_differences_that_cancel_within_clusters_are_not_exactly_zero():
    table = effect_table(np.tile([1.0, -1.0], (1, 50)), np.arange(100) // 2, spec=SPEC, rng=rng())
    assert table.ci_method[0] == "none: units are equal"
    assert table.p[0] == 1


def test_a_row_without_support_is_empty_and_outside_the_family():
    differences = rng().normal(size=(2, 60)) + 1
    differences[1] = np.nan
    table = effect_table(differences, np.arange(60), spec=SPEC, rng=rng(1))
    assert table.loc[1, ["mean_delta", "ci_low", "p", "p_adj"]].isna().all()
    assert table.n[1] == 0
    assert table.p_adj[0] == table.p[0]


def test_no_interval_below_six_clusters():
    values = rng().normal(size=50)
    five = effect(values, np.arange(50) % 5)
    six = effect(values, np.arange(50) % 6)
    assert five.ci_method == "none: 5 clusters"
    assert np.isnan(five.ci_low)
    assert np.isfinite([six.ci_low, six.ci_high]).all()


@pytest.mark.parametrize(("k", "method"), [(6, "bootstrap_t"), (199, "bootstrap_t"), (200, "percentile")])
def test_the_method_follows_the_number_of_clusters(k, method):
    values = rng().normal(size=5 * k)
    assert effect(values, np.arange(5 * k) % k).ci_method == method


@pytest.mark.parametrize("noise", [0.0, 1e-9], ids=["equal", "equal but for rounding"])
@pytest.mark.parametrize("n_clusters", [20, 300])
def test_a_constant_effect_has_a_p_and_no_interval(n_clusters, noise):
    clusters = np.array([0] * 3 + [1] * 5 + list(range(2, n_clusters + 2)))
    values = 0.1 + noise * rng().normal(size=len(clusters))
    found = effect(values, clusters, spec=SPEC, rng=rng())
    assert np.isnan([found.ci_low, found.ci_high, found.ci_adj_low, found.ci_adj_high]).all()
    assert found.ci_method == "none: units are equal"
    assert found.p < 0.01


def test_the_family_gets_enough_draws_for_an_adjusted_p_below_five_percent():
    spec = StatsSpec(n_bootstrap=100, n_permutations=99, adjust="holm")
    differences = np.zeros((60, 80)) + rng().normal(size=(60, 80)) * 0.01
    differences[7] += 10
    table = effect_table(differences, np.arange(80), spec=spec, rng=rng(1))
    assert table.p_adj[7] <= 0.05


def test_null_columns_describe_the_null_of_each_row():
    null = np.stack([np.linspace(-1, 1, 201), np.linspace(9, 11, 201)])
    table = effect_table(np.ones((2, 10)), np.arange(10), spec=SPEC, rng=rng(), null=null)
    assert table.null_median.tolist() == pytest.approx([0, 10])
    assert table.null_percentile.tolist() == pytest.approx([100 * 200.5 / 201, 0])


def test_skewed_cluster_sums_are_flagged_only_with_few_clusters():
    few, many = rng().lognormal(sigma=1.5, size=30), rng().lognormal(sigma=1.5, size=60)
    table = effect_table(few[None], np.arange(30), spec=SPEC, rng=rng(1))
    assert table.skewed[0]
    assert "rung 57" in skew_warnings(table, ["rung 57"])[0]
    assert not effect_table(many[None], np.arange(60), spec=SPEC, rng=rng(1)).skewed[0]
    assert skew_warnings(effect_table(rng().normal(size=(1, 30)), np.arange(30), spec=SPEC, rng=rng(1))) == []


def test_the_same_generator_gives_the_same_table():
    differences = rng().normal(size=(4, 90))
    first = effect_table(differences, np.arange(90) // 3, spec=SPEC, rng=rng(5))
    assert first.equals(effect_table(differences, np.arange(90) // 3, spec=SPEC, rng=rng(5)))


def test_cluster_ids_may_be_strings():
    values = rng().normal(size=60)
    ids = np.repeat(np.arange(20), 3)
    named = effect(values, [f"slide_{i:02d}" for i in ids])
    assert named.equals(effect(values, ids))


def test_tiny_effects_keep_their_relative_interval():
    values, clusters = rng().normal(size=60) + 1, np.arange(60) // 3
    a = effect(values, clusters)
    b = effect(values * 1e-170, clusters)
    assert (b.ci_low, b.ci_high, b.std_error) == pytest.approx(
        (a.ci_low * 1e-170, a.ci_high * 1e-170, a.std_error * 1e-170), rel=1e-6, abs=0
    )
    assert b.p == a.p


def test_no_rows_make_an_empty_table():
    table = effect_table(np.empty((0, 9)), np.arange(9), spec=SPEC, rng=rng())
    assert len(table) == 0
    assert "p_adj" in table


def test_rounding_of_a_constant_effect_is_not_called_skewed():
    assert not effect(np.full(20, 0.1) * 3, np.arange(20), spec=SPEC, rng=rng()).skewed


def test_wrong_shapes_and_infinities_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 5\).* 4 cluster"):
        effect_table(np.zeros((2, 5)), np.arange(4), spec=SPEC, rng=rng())
    with pytest.raises(ValueError, match="infinite"):
        effect_table(np.array([[1.0, np.inf]]), np.arange(2), spec=SPEC, rng=rng())


@settings(deadline=None, max_examples=25)
@given(
    values=st.lists(st.floats(-100, 100), min_size=24, max_size=60),
    scale=st.floats(0.01, 100),
    n_clusters=st.integers(6, 20),
)
def test_scaling_and_mirroring_differences_does_the_same_to_the_effect(values, scale, n_clusters):
    data, clusters = np.array(values), np.arange(len(values)) % n_clusters
    spec = StatsSpec(n_bootstrap=100, n_permutations=99)
    a = effect(data, clusters, spec=spec, rng=rng(3))
    b = effect(-scale * data, clusters, spec=spec, rng=rng(3))
    tolerance = 1e-6 * scale * (1 + np.abs(data).max())
    assert b.mean_delta == pytest.approx(-scale * a.mean_delta, abs=tolerance)
    assert b.ci_low == pytest.approx(-scale * a.ci_high, abs=tolerance)
    assert b.ci_high == pytest.approx(-scale * a.ci_low, abs=tolerance)
    assert a.ci_low <= a.mean_delta + tolerance
    assert a.ci_high >= a.mean_delta - tolerance
    assert 0 < a.p <= 1


def test_what_is_established_has_a_simultaneous_interval_beyond_the_margin():
    shifts = np.array([0.0, 0.3, 1.0, 3.0])[:, None]
    values = rng().normal(size=(4, 60)) + shifts
    values = np.concatenate([values, np.full((1, 60), 0.5), np.zeros((1, 60))])
    table = effect_table(values, np.arange(60), spec=SPEC, rng=rng(1))
    for margin, expected in ((0.0, [3, 4]), (0.55, [2, 3]), (0.4, [2, 3, 4])):
        found = np.flatnonzero(established(table, level=0.05, margin=margin))
        assert set(expected) <= set(found)
        inside = (table.ci_adj_low <= margin) & (table.ci_adj_high >= -margin)
        assert not inside[found].any() and (table.p_adj[found] <= 0.05).all()
    renamed = table.rename(
        columns={name: f"own_{name}" for name in ("ci_adj_low", "ci_adj_high", "ci_method", "p_adj")}
    )
    again = established(renamed, level=0.05, names="own_{}")
    assert again.tolist() == established(table, level=0.05).tolist()
    table["p_adj"] = 0.06
    assert not established(table, level=0.05).any()


def test_the_interval_beside_an_adjusted_p_contains_the_rows_own_and_covers_all_rows():
    missed, singly = 0, 0
    for seed in range(100):
        values = rng(seed).normal(size=(8, 40))
        values[4:, 8:] = np.nan  # rows of few clusters among rows of many
        table = effect_table(values, np.arange(40), spec=StatsSpec(n_bootstrap=400, n_permutations=99), rng=rng(seed))
        assert (table.ci_adj_low <= table.ci_low).all() and (table.ci_adj_high >= table.ci_high).all()
        missed += bool(((table.ci_adj_low > 0) | (table.ci_adj_high < 0)).any())
        singly += bool(((table.ci_low > 0) | (table.ci_high < 0)).any())
    assert missed <= 11 < singly


def test_a_family_of_one_keeps_its_interval_and_rows_that_are_not_tested_do_not_count():
    values = rng().normal(size=(3, 60))
    values[1:, 20:] = np.nan
    table = effect_table(values, np.arange(60), spec=SPEC, rng=rng(1), least=30)
    assert (table.ci_adj_low[0], table.ci_adj_high[0]) == (table.ci_low[0], table.ci_high[0])
    assert table.loc[1:, ["p", "p_adj", "ci_low", "ci_adj_low"]].isna().all(axis=None)
    assert table.ci_method.tolist()[1:] == table.p_method.tolist()[1:] == ["none: 20 contexts"] * 2
    assert table.p_adj[0] == table.p[0]


def test_intervals_of_bounded_effects_stay_within_their_range():
    values = np.zeros((1, 8))
    values[0, :7] = [1, 1, 1, 1, 1, 1, 0]
    free = effect_table(values, np.arange(8), spec=SPEC, rng=rng(1))
    cut = effect_table(values, np.arange(8), spec=SPEC, rng=rng(1), bounds=(-1, 1))
    assert free.ci_high[0] > 1 == cut.ci_high[0] == cut.ci_adj_high[0]
    assert cut.ci_low[0] == max(free.ci_low[0], -1)


@pytest.mark.parametrize("k", [6, 8, 11, 20, 60, 220])
def test_an_interval_that_excludes_0_goes_with_a_p_below_the_level(k):
    values = rng(k).lognormal(size=(400, k)) - np.exp(0.5) * rng(k + 1).uniform(0, 1.4, size=(400, 1))
    table = effect_table(values, np.arange(k), spec=StatsSpec(n_bootstrap=200, n_permutations=199), rng=rng(1))
    excluded = (table.ci_low > 0) | (table.ci_high < 0)
    assert excluded.any() and (table.p[excluded] <= 0.05).all()
