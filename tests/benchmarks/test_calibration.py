"""The calibration benchmark on few corpora: it passes what is calibrated, and does not pass what is not."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.calibration import QUICK, Rates, calibrate, coverage_holds, level_holds, planted_model, split
from benchmarks.calibration_cases import CASES, Check, Reading

N = 40


@pytest.fixture(scope="module")
def model():
    return planted_model()


@pytest.mark.parametrize("kind", ["within_family_interference", "frequent_itemsets"])
def test_two_types_are_calibrated_on_few_corpora(kind, model):
    case = next(case for case in CASES if case.type == kind)
    for rates in calibrate(case, model, N):
        assert len(rates.readings) == N
        assert len(rates.covered) == N
        assert not rates.failures()


def test_corpora_share_no_source_build():
    parts = list(split(5, 12, seed=3))
    clusters = [set(part.contexts.cluster.tolist()) for part in parts]
    assert [len(each) for each in clusters] == [12] * 5
    assert len(set().union(*clusters)) == 60
    for part in parts:
        built = part.builds[part.contexts.cluster]
        assert (built[:, -1] == part.contexts.codes[:, -1]).all()


def test_rates_far_from_their_bounds_fail():
    rng = np.random.default_rng(0)
    per_row = Rates(Check("x"), [Reading(rng.random() < 0.7, p, p) for p in rng.random(N) * 0.3])
    assert per_row.failures() == ["coverage", "p", "BH"]
    exact = Rates(Check("x"), [Reading(i % 20 != 0, (i + 0.5) / N, None) for i in range(N)])
    assert exact.failures() == []


def test_an_effect_that_is_there_is_no_calibration(model):
    from dataclasses import replace

    case = next(case for case in CASES if case.type == "within_family_interference")
    shifted = replace(case, checks=(replace(case.checks[0], truth=1.0),))
    assert "coverage" in calibrate(shifted, model, QUICK)[0].failures()


@pytest.mark.parametrize(("k", "n", "holds"), [(67, 1000, True), (68, 1000, False), (0, 1000, True), (7, 40, False)])
def test_the_level_is_held_within_its_99_percent_bound(k, n, holds):
    assert level_holds(k, n) is holds


@pytest.mark.parametrize(
    ("k", "n", "holds"), [(930, 1000, True), (929, 1000, False), (971, 1000, False), (37, 40, True)]
)
def test_coverage_is_held_within_its_band(k, n, holds):
    assert coverage_holds(k, n) is holds
