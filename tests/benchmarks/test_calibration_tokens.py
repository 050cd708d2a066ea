"""The calibration of ablations and patches of heads, on few seeds; ``make soak`` takes 200."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.calibration_tokens import CASES, QUICK, Rates, Reading, measured, places, random_weights

SHOWN = {case.name: case for case, _ in CASES}


@pytest.mark.parametrize("name", [name for name, case in SHOWN.items() if case.null])
def test_a_null_is_calibrated_on_few_seeds(name):
    ((rates, _),) = measured(QUICK, [name])
    assert len(rates.readings) == QUICK and not rates.failures()
    assert all(one.zero for one in rates.readings) == rates.exact


def test_kl_has_no_p_and_random_heads_do_change_the_loss():
    ((by_kl, _),) = measured(3, ["random weights, read by KL: no p"])
    assert np.isnan([one.p for one in by_kl.readings]).all()
    assert np.isnan([one.least_adjusted for one in by_kl.readings]).all()
    assert any(random_weights(seed).least_adjusted <= 0.05 for seed in range(3))


def test_sets_that_are_not_matched_by_layer_make_usual_ones_look_special():
    stands = np.array([places(seed) for seed in range(QUICK)])
    assert abs(stands[:, 0].mean() - 0.5) < 0.35
    assert stands[:, 1].mean() > stands[:, 0].mean() + 0.1


def test_rates_that_are_too_high_fail():
    often = Rates("x", readings=[Reading(0.04, 0.2, zero=False)] * 20)
    assert often.failures() == ["p"] and "FAILS: p" in often.line(1.0)
    moved = Rates("x", exact=True, readings=[Reading(1.0, 1.0, zero=False)])
    assert moved.failures() == ["not exactly 0"]
