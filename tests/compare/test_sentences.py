"""Sentences of a comparison, against the rows they are made of."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from paribus.compare.sentences import (
    condition_line,
    contrast_line,
    factor_line,
    interval,
    is_established,
    p_text,
    reach,
)

ROW = {
    "training": "grokking", "reference": "standard", "label": "change of accuracy", "unit": "accuracy",
    "factor": "training", "high": "grokking", "low": "standard", "flag": "", "n_seeds": 8, "n_pairs": 8,
    "mean": -0.25, "difference": -0.25, "effect": -0.25, "hedges_g": -1.5, "p": 0.01, "p_adj": 0.04,
    "ci_low": -0.4, "ci_high": -0.1, "ci_method": "paired_sign_flip",
    "ci_adj_low": -0.45, "ci_adj_high": -0.05, "ci_adj_method": "paired_sign_flip",
}  # fmt: skip
CI = "95 % CI −0.400 to −0.100"
BESIDE = "p = 0.01; adjusted p = 0.04, 95 % CI −0.450 to −0.050"


def row(**changes):
    return pd.Series({**ROW, **changes}, dtype=object)


def test_a_difference_has_its_interval_both_p_and_a_verdict():
    assert contrast_line(row(), 0.95) == (
        f"grokking against standard, change of accuracy: −0.250 ({CI}; Hedges g −1.50; {BESIDE}): established."
    )
    said = contrast_line(row(p_adj=0.06, hedges_g=math.nan, flag="missing: 3"), 0.95)
    assert said.endswith("): not established after adjustment. Seeds missing: 3.") and "Hedges" not in said
    assert (
        contrast_line(row(p=math.nan), 0.95) == "grokking against standard, change of accuracy: not tested (no runs)."
    )


def test_one_condition_is_tested_only_where_0_means_no_effect():
    assert condition_line(row(), 0.95) == f"grokking: change of accuracy −0.250 ({CI}; n = 8; {BESIDE})."
    plain = row(mean=0.75, ci_low=0.7, ci_high=0.8, p=math.nan, p_adj=math.nan)
    assert condition_line(plain, 0.95) == "grokking: change of accuracy 0.750 (95 % CI 0.700 to 0.800; n = 8)."


@pytest.mark.parametrize(("n", "pairs"), [(8, "8 pairs"), (1, "1 pair")])
def test_a_main_effect_counts_its_pairs(n, pairs):
    assert factor_line(row(n_pairs=n), 0.95) == (
        f"Main effect of training (grokking instead of standard) on change of accuracy: −0.250 over {pairs} "
        f"({CI}; {BESIDE}): established."
    )
    assert factor_line(row(p=math.nan), 0.95).endswith("on change of accuracy: no complete pairs.")


@pytest.mark.parametrize(
    ("change", "p", "low", "words"),
    [
        (0.0, math.nan, math.nan, " The AUROC does not move: this is a shift of the threshold."),
        (0.0, 1.0, 0.0, " The AUROC does not move: this is a shift of the threshold."),
        (0.1, 0.3, -0.1, " No change of the AUROC is established beside it (+0.100, 95 % CI −0.100 to +0.300): "
                         "as far as these runs show, a shift of the threshold."),
        (0.1, 0.3, math.nan, " No change of the AUROC is established beside it (+0.100): "
                             "as far as these runs show, a shift of the threshold."),
        (0.1, 0.05, 0.01, ""),
        (0.1, math.nan, math.nan, ""),
        (math.nan, math.nan, math.nan, ""),
    ],
)  # fmt: skip
def test_the_threshold_is_named_where_only_the_accuracy_moves(change, p, low, words):
    beside = {"auroc_change": change, "auroc_p": p, "auroc_ci_low": low, "auroc_ci_high": 0.3}
    assert contrast_line(row(**beside), 0.95).partition(": established.")[2] == words
    assert contrast_line(row(**beside, p_adj=0.2), 0.95).endswith("not established after adjustment.")


def test_intervals_say_why_they_are_missing_and_when_nothing_rests_on_them():
    assert interval(row(ci_low=math.nan, ci_method="none: 3 runs"), 0.95) == "no interval: 3 runs"
    assert interval(row(ci_low=math.nan, ci_method="none"), 0.95) == "no interval"
    assert interval(row(ci_method="student_t"), 0.9).startswith("90 % t interval −0.400 to −0.100, too few runs")


def test_the_verdict_includes_its_level():
    assert is_established(row(p_adj=0.05), 0.95) and not is_established(row(p_adj=0.0501), 0.95)
    assert (p_text(1e-4), p_text(9e-5)) == ("p = 0.0001", "p < 0.0001")


def test_what_a_design_can_reach_is_said_first():
    tests = pd.DataFrame(
        {"design": ["paired_sign_flip"] * 2 + ["none"], "n": [6, 6, 1], "n_reference": [6, 6, 1],
         "p": [0.03, 0.5, math.nan], "smallest_p": [0.03125, 0.03125, math.nan],
         "smallest_p_adj": [0.0625, 0.0625, math.nan]}
    )  # fmt: skip
    (said,) = reach(tests, 0.95)
    assert said == (
        "Smallest p that 6 against 6 seeds can reach (same seeds in both arms, paired sign-flip): 0.0312; "
        "after Holm over 2 tests 0.0625. No single difference can be established at 0.05 with these runs, "
        "whatever its size."
    )
    assert "No single" not in reach(tests.assign(smallest_p_adj=0.05), 0.95)[0]
    assert "over 1 test " in reach(tests[:1], 0.95)[0]
