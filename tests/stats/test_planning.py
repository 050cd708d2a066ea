"""How many runs a study needs: against statsmodels and against simulated sign-flip tests."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower, TTestPower

from paribus.stats.few import paired_sign_flip
from paribus.stats.planning import paired_power, reach_needs, runs_needed, sd_at_most, unpaired_power


@pytest.mark.parametrize("n", [5, 12, 40])
@pytest.mark.parametrize("effect", [0.3, 0.9])
def test_power_agrees_with_statsmodels(n, effect):
    assert paired_power(n, effect, 1.0, 0.05) == pytest.approx(TTestPower().power(effect, n, 0.05), abs=1e-6)
    assert unpaired_power(n, effect, 1.0, 0.05) == pytest.approx(TTestIndPower().power(effect, n, 0.05), abs=1e-6)


def test_the_fewest_runs_are_the_fewest():
    n = runs_needed("paired_sign_flip", 0.6, 1.0, 0.05)
    assert paired_power(n, 0.6, 1.0, 0.05) >= 0.8 > paired_power(n - 1, 0.6, 1.0, 0.05)
    assert runs_needed("paired_sign_flip", -0.6, 1.0, 0.05) == n
    assert runs_needed("paired_sign_flip", 100.0, 1.0, 0.05) == 6, "five pairs cannot reach .05, however large"
    assert runs_needed("paired_sign_flip", 100.0, 1.0, 0.05 / 6) == 8
    assert runs_needed("label_permutation", 1e-9, 1.0, 0.05) is None
    assert runs_needed("label_permutation", 0.0, 1.0, 0.05) is None
    assert [reach_needs("paired_sign_flip", 0.05 / m) for m in (1, 6, 30)] == [6, 8, 11]


def test_the_exact_test_has_the_planned_power():
    rng = np.random.default_rng(0)
    n = runs_needed("paired_sign_flip", 1.0, 1.0, 0.05)
    found = np.mean([paired_sign_flip(rng.normal(1.0, 1.0, n)).p <= 0.05 for _ in range(400)])
    assert abs(found - 0.8) < 0.08


def test_a_pilots_sd_is_taken_at_its_upper_limit():
    rng = np.random.default_rng(1)
    limits = [sd_at_most(rng.normal(size=8).std(ddof=1), 7) for _ in range(2000)]
    assert np.mean(np.array(limits) >= 1.0) == pytest.approx(0.8, abs=0.03)
    assert np.isnan(sd_at_most(1.0, 0))
