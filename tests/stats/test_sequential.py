"""Tests that stay honest when seeds are added: against enumeration, and over whole sweeps without an effect."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from paribus.stats.e_process import e_interval, e_value, smallest_e_p
from paribus.stats.few import paired_sign_flip
from paribus.stats.sequential import (
    flipped_sums,
    look_again,
    looks_interval,
    looks_p,
    smallest_looks_p,
    spending,
)

LOOKS, LEVELS = (8, 12, 24), (0.0079, 0.02, 0.05)


def nulls(rng, kind, shape):
    if kind == "normal":
        return rng.normal(size=shape)
    if kind == "t3":
        return rng.standard_t(3, size=shape)
    if kind == "bimodal":
        return rng.choice([-1.0, 1.0], size=shape) + 0.1 * rng.normal(size=shape)
    return np.where(rng.random(shape) < 0.1, 8.0, 0.3) * rng.normal(size=shape)  # a seed in ten collapses


def declared_looks(values, looks, levels=None, **drawn):
    return look_again(flipped_sums(values, looks, **drawn), levels or spending(looks))


def test_one_look_is_the_sign_flip_test():
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.normal(0.5, 1.0, 9)
        (look,) = declared_looks(values, [9], levels=[0.05])
        expected = paired_sign_flip(values).p
        assert look.p == pytest.approx(expected) and look.rejects == (expected <= 0.05)


def by_hand(values, looks, levels):
    """Return which looks reject, from what every multiple of the levels rejects.

    A look may reject as many patterns as fit at its level and at every larger one, beside those rejected before.
    """
    n = looks[-1]
    patterns = [np.array(signs) * np.abs(values[:n]) for signs in itertools.product([-1, 1], repeat=n)]
    multiples = sorted({1.0, *(k / (level * len(patterns)) for level in levels for k in range(len(patterns) + 1))})
    gone = {each: set() for each in multiples}
    found = []
    for look, level in zip(looks, levels, strict=True):
        sums = [abs(pattern[:look].sum()) for pattern in patterns]
        room, least = {}, np.inf
        for each in reversed(multiples):
            least = min(least, each * level * len(patterns) - len(gone[each]))
            room[each] = least
        for each in multiples:
            left = [k for k in range(len(patterns)) if k not in gone[each]]
            gone[each] |= {k for k in left
                           if sum(sums[other] >= sums[k] - 1e-9 for other in left) <= room[each] + 1e-9}  # fmt: skip
        observed = next(k for k, pattern in enumerate(patterns) if np.array_equal(pattern, values[:n]))
        found.append(observed in gone[1.0])
    return found


def test_every_look_agrees_with_an_enumeration_by_hand():
    rng, looks = np.random.default_rng(1), [2, 3, 5]
    for levels in ([0.3, 0.5, 0.7], [0.1, 0.45, 0.6], [0.1, 0.2, 0.35]):
        for draw in (rng.normal(0.8, 1.0, (4, 5)), rng.choice([-1.0, 1.0, 2.0], (4, 5))):
            for values in draw:
                found = [look.rejects for look in declared_looks(values, looks, levels=levels)]
                most = by_hand(values, looks, levels)
                assert found[:2] == most[:2] and found[2] <= most[2], "from the third look on less may be left over"


@pytest.mark.parametrize("kind", ["normal", "t3", "bimodal", "collapsed"])
def test_looks_keep_the_level_in_sweeps_without_an_effect(kind):
    rng, n = np.random.default_rng(2), 150
    looks, levels = (6, 9, 14), (0.034, 0.042, 0.05)
    wrong = sum(declared_looks(values, looks, levels=levels)[-1].rejects for values in nulls(rng, kind, (n, 14)))
    assert wrong <= 15, "at .05, 150 sweeps, 16 or more happen once in 700 times"
    stopped = sum(
        any(paired_sign_flip(values[:k]).p <= 0.05 for k in range(6, 15)) for values in nulls(rng, kind, (n, 14))
    )
    assert stopped > 12, "looking after every pair at the plain test is what this is for"


def test_a_real_effect_is_found_early():
    rng = np.random.default_rng(3)
    found = [declared_looks(rng.normal(1.5, 1.0, 14), (8, 14), levels=(0.02, 0.05)) for _ in range(40)]
    assert np.mean([looks[-1].rejects for looks in found]) > 0.95
    assert np.mean([looks[0].rejects for looks in found]) > 0.6


def test_above_twenty_pairs_signs_are_drawn_and_the_data_are_among_them():
    rng = np.random.default_rng(4)
    values = rng.normal(1.0, 1.0, 24)
    looks = declared_looks(values, LOOKS, levels=LEVELS, rng=rng, n_permutations=20_000)
    assert [look.n for look in looks] == [8, 12, 24] and looks[-1].rejects and looks[-1].p >= 1 / 20_480
    assert looks[:2] == declared_looks(values[:12], LOOKS, levels=LEVELS), "12 pairs are enumerated whatever follows"
    with pytest.raises(ValueError, match="pass a generator"):
        declared_looks(values, LOOKS, levels=LEVELS)


@pytest.mark.parametrize("looks", [(8, 12, 24), (6, 14, 21, 25, 30), (22, 26, 30), (3, 30)])
def test_pairs_that_are_added_change_no_earlier_look(looks):
    for seed in range(8):
        rng = np.random.default_rng([13, seed])
        values = rng.normal(0.5, 1.0, looks[-1]) if seed % 2 else rng.choice([-1.0, 1.0, 2.0], looks[-1])
        found = declared_looks(values, looks, rng=np.random.default_rng(seed), n_permutations=999)
        for n in range(looks[0], looks[-1] + 1):
            again = np.random.default_rng(seed)
            assert (
                declared_looks(values[:n], looks, rng=again, n_permutations=999)
                == found[: np.sum(n >= np.array(looks))]
            )
        p = [looks_p(flipped_sums(values[:n], looks, rng=np.random.default_rng(seed), n_permutations=999), looks)
             for n in looks]  # fmt: skip
        assert p == sorted(p, reverse=True), "what was established stays so"


@pytest.mark.parametrize("kind", ["normal", "t3", "bimodal", "collapsed"])
def test_looks_at_drawn_signs_keep_the_level(kind):
    rng, n = np.random.default_rng(14), 1000
    wrong = sum(
        declared_looks(values, (7, 10, 23), rng=rng, n_permutations=999)[-1].rejects
        for values in nulls(rng, kind, (n, 23))
    )
    assert wrong <= 72, "at .05, 73 or more happen once in 1,000 times"


@pytest.mark.parametrize(
    "looks", [(8, 12, 24), (6, 7, 11), (7, 8, 12), (5, 6, 10), (6, 8, 9, 13), (4, 5, 6, 7), (3, 9)]
)
def test_the_smallest_p_is_that_of_differences_of_one_sign_and_an_interval_ends_where_it_is_reached(looks):
    """Looks one after the other: the later one has too little left to reject anything, and there is no interval."""
    rng = np.random.default_rng(15)
    for n in [look for look in looks if look <= 13]:
        values = rng.normal(0.5, 1.0, n)
        smallest = smallest_looks_p(looks, n)
        assert looks_p(flipped_sums(np.abs(values), looks), looks) == pytest.approx(smallest, rel=1e-6)
        for confidence in (0.9, 0.95, 1 - 0.05 / 3, 0.99):
            found = looks_interval(flipped_sums(values, looks), looks, confidence)
            assert np.isfinite(found.low) == (smallest <= 1 - confidence + 1e-12)
            if np.isfinite(found.low):
                assert values.min() - 1e-6 <= found.low < found.high <= values.max() + 1e-6


def test_before_the_first_look_there_is_no_test():
    with pytest.raises(ValueError, match="no look of"):
        flipped_sums(np.ones(5), [8, 12])
    assert spending([10, 20])[-1] == 0.05


def test_the_declared_looks_decide_as_hand_picked_levels_do_but_for_what_a_larger_level_takes_back():
    """By half of the pairs .02 is spent; 8 pairs decide at 2/256 either way; p is monotone, so 12 may decide less."""
    assert spending(LOOKS) == pytest.approx([0.0117, 0.02, 0.05], abs=3e-5)
    rng, apart = np.random.default_rng(12), 0
    for values in rng.normal(0.7, 1.0, (60, 12)):
        flipped = flipped_sums(values, LOOKS)
        ours, by_hand = look_again(flipped, spending(LOOKS)), look_again(flipped, LEVELS)
        largest = abs(values[:8].sum()) == np.abs(values[:8]).sum()
        assert ours[0].rejects == by_hand[0].rejects == largest
        assert ours[1].rejects <= by_hand[1].rejects
        apart += ours[1].rejects != by_hand[1].rejects
    assert apart <= 6


@pytest.mark.parametrize("kind", ["normal", "t3", "bimodal", "collapsed"])
def test_the_e_process_may_be_looked_at_after_every_pair(kind):
    rng = np.random.default_rng(5)
    wrong = np.mean([e_value(values).max() >= 20 for values in nulls(rng, kind, (1000, 40))])
    assert wrong <= 0.05, "at .031, the most over 10,000 sweeps, 51 or more of 1,000 happen once in 2,000 times"


def test_the_e_process_is_a_martingale_over_signs():
    sizes = np.array([0.5, 2.0, 1.0, 3.0])
    values = [e_value(sizes * np.array(signs))[-1] for signs in itertools.product([-1, 1], repeat=4)]
    assert np.mean(values) == pytest.approx(1.0)


def test_the_interval_is_what_is_not_rejected_and_covers():
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(14):
        values = rng.normal(1.0, 1.0, 16)
        found = e_interval(values)
        held += found.low <= 1.0 <= found.high
        for end in (found.low - 1e-6, found.high + 1e-6):
            assert e_value(values, end)[-1] >= 20 - 1e-3
        assert np.isfinite([found.low, found.high]).all() and found.low < np.median(values) < found.high
    assert held >= 12
    assert e_interval(np.arange(7.0)).method == "none: 7 pairs"
    assert np.isnan(e_interval(np.ones(9)).low) and e_interval(np.ones(9)).method.startswith("none")


@pytest.mark.parametrize("n", [8, 9, 12])
@pytest.mark.parametrize("confidence", [0.95, 0.98, 1 - 0.05 / 3, 0.99, 0.999])
def test_an_interval_without_an_end_is_none(n, confidence):
    """Intervals of adjusted tests are wider: of few pairs no mean is far enough, and none is searched for ever."""
    values = np.random.default_rng(n).normal(2.0, 1.0, n)
    found, most = e_interval(values, confidence), 1 / (1 - confidence)
    far = max(e_value(values, mean)[-1] for mean in (-1e9, 1e9))
    if far < most:
        assert np.isnan(found.low) and np.isnan(found.high) and found.method.startswith("none: no mean is far enough")
    else:
        width = found.high - found.low
        outside = [e_value(values, found.high + step * width)[-1] for step in (1e-6, 1, 10, 1e3)]
        assert min(outside) >= most * (1 - 1e-4) and e_value(values, found.high - 1e-6 * width)[-1] < most
    assert e_interval(np.array([0.1 + 0.2, 0.3] * n)).method == "none: units are equal"


def test_the_interval_of_looks_inverts_them():
    rng, looks = np.random.default_rng(7), (6, 9)
    for _ in range(6):
        values = rng.normal(0.7, 1.0, 9)
        found = looks_interval(flipped_sums(values, looks), looks)
        for end, sign in ((found.low, -1), (found.high, 1)):
            outside = declared_looks(values - end - sign * 1e-6, looks)[-1].rejects
            inside = declared_looks(values - end + sign * 1e-6, looks)[-1].rejects
            assert outside and not inside
    assert looks_interval(flipped_sums(values[:4], (4, 9)), (4, 9)).method.startswith("none"), (
        "four pairs reject nothing"
    )
    assert looks_interval(flipped_sums(np.ones(9), looks), looks).method.startswith("none")


def test_the_p_of_looks_is_at_most_a_level_where_that_level_rejects():
    rng, looks = np.random.default_rng(10), (6, 9, 12)
    for _ in range(15):
        flipped = flipped_sums(rng.normal(0.6, 1.0, 12), looks)
        p = looks_p(flipped, looks)
        assert p >= smallest_looks_p(looks, 12) * (1 - 1e-8)
        for level in (0.001, 0.01, 0.05, 0.3, 0.8):
            assert look_again(flipped, spending(looks, level))[-1].rejects == (p <= level)
    assert np.isnan(smallest_looks_p(looks, 5))


def test_the_p_of_looks_is_a_p_at_every_level():
    """Over all signs of the same sizes at most a share L of the p is at most L, and more level never rejects less."""
    rng = np.random.default_rng(11)
    for looks in ((5, 8), (4, 6, 8)):
        for sizes in (np.abs(rng.normal(size=8)), rng.choice([1.0, 2.0, 3.0], 8)):
            signs = [np.array((1, *rest)) for rest in itertools.product((1, -1), repeat=7)]
            p = np.sort([looks_p(flipped_sums(sizes * each, looks), looks) for each in signs])
            assert (np.arange(1, len(p) + 1) / len(p) <= p * (1 + 1e-7)).all()
        flipped, levels = flipped_sums(rng.normal(0.5, 1.0, 8), looks), np.linspace(0.005, 0.995, 100)
        rejects = [look_again(flipped, spending(looks, level))[-1].rejects for level in levels]
        assert rejects == sorted(rejects)


def test_no_data_reach_a_smaller_p_than_the_e_process_says():
    rng = np.random.default_rng(8)
    for n in (8, 12):
        steep = [np.cumprod(np.full(n, ratio)) for ratio in (1.0, 3.0, 1e6)]
        reached = max(e_value(values)[-1] for values in [*steep, *rng.normal(3, 1, (50, n))])
        assert smallest_e_p(n) <= 1 / reached
    assert 1 / e_value(np.cumprod(np.full(8, 1e6)))[-1] == pytest.approx(smallest_e_p(8), rel=1e-3)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["normal", "t3", "bimodal", "collapsed"])
def test_optional_stopping_over_many_null_sweeps(kind):
    """Declared looks and the e-process keep .05 (6 % at most over 2,000 sweeps); looking often at a t test does not."""
    rng, n = np.random.default_rng(9), 2000
    sweeps = nulls(rng, kind, (n, 40))
    looked = [declared_looks(values[:24], LOOKS, rng=rng, n_permutations=20_000)[-1].rejects for values in sweeps]
    grown = [e_value(values)[7:].max() >= 20 for values in sweeps]
    assert max(np.mean(looked), np.mean(grown)) <= 0.06
    plain = [any(stats.ttest_1samp(values[:k], 0).pvalue < 0.05 for k in range(4, 41)) for values in sweeps[:300]]
    assert np.mean(plain) > 0.12
    held = [looks_interval(flipped_sums(v[:12], (8, 12)), (8, 12)) for v in sweeps]
    covered = np.mean([each.low <= 0 <= each.high for each in held])
    print(f"{kind}: looks {np.mean(looked):.4f}, e-process {np.mean(grown):.4f}, "
          f"t after every pair {np.mean(plain):.3f}, intervals of looks covered {covered:.4f}")  # fmt: skip
    assert covered >= 0.94
