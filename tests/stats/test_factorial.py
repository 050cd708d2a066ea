"""Main effects of a factorial of runs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from paribus.stats.factorial import main_effects


def design(n_seeds: int):
    cells = list(itertools.product(range(n_seeds), (False, True), ("small", "wide"), (0.0, 1.0)))
    seeds, *levels = (list(column) for column in zip(*cells, strict=True))
    return seeds, dict(zip(("grokfast", "init", "decay"), levels, strict=True))


def test_a_planted_main_effect_is_found_and_attributed():
    seeds, factors = design(2)
    draw = np.random.default_rng(0)
    outcome = 0.5 * np.array(factors["grokfast"]) + 10 * np.array(seeds) + 0.1 * draw.normal(size=16)
    table = main_effects(outcome, factors, seeds, rng=draw).set_index("factor")
    assert table.effect["grokfast"] == pytest.approx(0.5, abs=0.15)
    assert table.p["grokfast"] == table.smallest_p["grokfast"] == 2 / 2**8
    assert (table.p_adj[["init", "decay"]] > 0.05).all()
    assert table.low["init"] == "small"
    assert (table.n_pairs == 8).all()


def test_without_effects_false_positives_are_nominal():
    seeds, factors = design(1)
    seeds, factors = seeds * 2, {name: levels * 2 for name, levels in factors.items()}
    seeds = [0] * 8 + [1] * 8
    draw = np.random.default_rng(1)
    p = []
    for _ in range(300):
        outcome = draw.normal(size=16) + np.repeat(draw.normal(size=2), 8)
        p.extend(main_effects(outcome, factors, seeds, rng=draw).p)
    assert 0.03 <= np.mean(np.array(p) <= 0.05) <= 0.07


def test_missing_runs_are_counted():
    seeds, factors = design(2)
    table = main_effects(
        np.arange(15.0), {k: v[:15] for k, v in factors.items()}, seeds[:15], rng=np.random.default_rng(0)
    )
    assert table.n_pairs.tolist() == [7, 7, 7]
    assert table.n_unpaired.tolist() == [1, 1, 1]


def test_wrong_designs_are_refused():
    draw = np.random.default_rng(0)
    with pytest.raises(ValueError, match="two levels, has 3"):
        main_effects([1, 2, 3], {"a": [0, 1, 2]}, [0, 0, 0], rng=draw)
    with pytest.raises(ValueError, match="same seed and factors"):
        main_effects([1, 2, 3], {"a": [0, 1, 1]}, [0, 0, 0], rng=draw)
    with pytest.raises(ValueError, match="finite"):
        main_effects([1, np.nan], {"a": [0, 1]}, [0, 0], rng=draw)
