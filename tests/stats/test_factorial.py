"""Main effects of a factorial of runs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from paribus.stats.factorial import main_effects
from paribus.stats.few import paired_sign_flip


def design(n_seeds: int):
    cells = list(itertools.product(range(n_seeds), (False, True), ("small", "wide"), (0.0, 1.0)))
    seeds, *levels = (list(column) for column in zip(*cells, strict=True))
    return seeds, dict(zip(("grokfast", "init", "decay"), levels, strict=True))


def test_a_planted_main_effect_is_found_and_attributed():
    seeds, factors = design(2)
    draw = np.random.default_rng(0)
    outcome = 0.5 * np.array(factors["grokfast"]) + 10 * np.array(seeds) + 0.1 * draw.normal(size=16)
    found = {effect.factor: effect for effect in main_effects(outcome, factors, seeds)}
    tests = {name: paired_sign_flip(effect.differences) for name, effect in found.items()}
    assert tests["grokfast"].statistic == pytest.approx(0.5, abs=0.15)
    assert tests["grokfast"].p == tests["grokfast"].smallest_p == 2 / 2**8
    assert min(tests["init"].p, tests["decay"].p) > 0.05 / 2
    assert (found["init"].low, found["init"].high) == ("small", "wide")
    assert {len(effect.differences) for effect in found.values()} == {8}


def test_pairs_are_the_higher_level_minus_the_lower_within_seed_and_the_other_factor():
    seeds, factors = [0, 0, 0, 0], {"a": [0, 0, 1, 1], "b": ["x", "y", "x", "y"]}
    a, b = main_effects([1.0, 2.0, 5.0, 9.0], factors, seeds)
    assert a.differences.tolist() == [4.0, 7.0]
    assert b.differences.tolist() == [1.0, 4.0]


def test_without_effects_false_positives_are_nominal():
    seeds, factors = design(1)
    factors = {name: levels * 2 for name, levels in factors.items()}
    seeds = [0] * 8 + [1] * 8
    draw = np.random.default_rng(1)
    p = []
    for _ in range(300):
        outcome = draw.normal(size=16) + np.repeat(draw.normal(size=2), 8)
        p.extend(paired_sign_flip(effect.differences).p for effect in main_effects(outcome, factors, seeds))
    assert 0.03 <= np.mean(np.array(p) <= 0.05) <= 0.07


def test_missing_runs_are_counted():
    seeds, factors = design(2)
    found = main_effects(np.arange(15.0), {k: v[:15] for k, v in factors.items()}, seeds[:15])
    assert [len(effect.differences) for effect in found] == [7, 7, 7]
    assert [effect.n_unpaired for effect in found] == [1, 1, 1]


def test_wrong_designs_are_refused():
    with pytest.raises(ValueError, match="two levels, has 3"):
        main_effects([1, 2, 3], {"a": [0, 1, 2]}, [0, 0, 0])
    with pytest.raises(ValueError, match="same seed and factors"):
        main_effects([1, 2, 3], {"a": [0, 1, 1]}, [0, 0, 0])
    with pytest.raises(ValueError, match="finite"):
        main_effects([1, np.nan], {"a": [0, 1]}, [0, 0])
