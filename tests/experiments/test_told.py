"""Sentences say what tables say: what is established, beside which null, and that undecided is not absent."""

from __future__ import annotations

import math
import string

import numpy as np
import pandas as pd
import pytest

from paribus.config import catalogue
from paribus.experiments.told import Effects, Sentence, sentences
from paribus.results.estimates import estimates
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Diagnostics, Result
from paribus.stats.clusters import reduce_to_clusters
from paribus.stats.effects import complete_table, effect_table, established
from paribus.stats.intervals import DIVERGENCE, EQUAL_UNITS
from paribus.stats.spec import StatsSpec

NONE = Aggregates()
ENDS = ("low", "high")


def frame(values, halves, p, **others):
    values, halves = np.array(values, float), np.array(halves, float)
    ends = {"ci_adj_low": values - halves, "ci_adj_high": values + halves}
    return pd.DataFrame({"level": list("abcdef"[: len(values)]), "mean_delta": values, **ends, "p_adj": p, **others})


def said(table, **options):
    return list(Effects("t", "{level}", "change of x", **options).told(table, NONE, 0.05))


def test_the_largest_established_row_comes_first_and_the_rest_is_open():
    lines = said(frame([0.2, -0.9, 0.1], [0.1, 0.2, 0.3], [0.01, 0.001, 0.5]))
    assert lines[0] == "Change of x: established in 2 of 3 rows tested: b −0.9 [−1.1, −0.7], a +0.2 [+0.1, +0.3] (t)."
    assert lines[1] == "The other one is undecided, which is not absent: its interval is [−0.2, +0.4]."


def test_a_small_p_beside_an_interval_that_holds_0_is_not_established():
    assert "established in none of 2" in said(frame([0.1, 0.1], [0.2, 0.2], [0.01, 0.01]))[0]


def test_where_all_units_are_equal_the_effect_itself_decides():
    table = frame([1.5, 0.0], [math.nan, 0.0], [0.001, 1.0], ci_method=[EQUAL_UNITS, "exact_zero"])
    lines = said(table)
    assert lines[0].startswith("Change of x: established in 1 of 2 rows tested: a +1.5 (t)")
    assert lines[1] == "The other one is exactly 0 in every context."
    own = table.rename(columns={"ci_method": "own_method", **{f"ci_adj_{end}": f"own_adj_{end}" for end in ENDS}})
    assert said(own, ends="own_adj_{}") == lines


def test_effects_over_all_contexts_there_are_are_told_without_a_test():
    known = complete_table(reduce_to_clusters([[1.0, 2.0], [0.0, 0.0], [-3.0, -3.0]], np.arange(2)))
    table = known.assign(level=list("abc"), null_percentile=[50.0, 50.0, 0.0])
    assert said(table, null="like ones") == [
        "Change of x, over all contexts there are, so that nothing is tested: c −3, a +1.5; 1 of 2 of these outside "
        "the middle 95 % of like ones; 1 is exactly 0 in every context (t)."
    ]
    assert said(table[1:2]) == ["Change of x: exactly 0 in every context (t)."]
    assert not Effects("t", "{level}", "x").established_rows(table, NONE, 0.05)


def test_a_small_p_of_too_few_clusters_for_an_interval_is_not_established():
    table = frame([1.1, -0.3, 0.2], [math.nan, 0.2, math.nan], [0.01, 0.07, 0.6], ci_method=["none: 2 clusters"] * 3)
    table["std_delta"] = 1.0
    assert not established(table, level=0.05).any()
    assert said(table) == [
        "Change of x: established in none of 3 rows tested (t).",
        "All 3 are undecided, which is not absent: 1 of them has an interval, over [−0.5, −0.1].",
    ]


def test_what_is_exactly_0_is_not_called_undecided():
    lines = said(frame([0.1, 0.0, 0.9], [0.3, 0.0, 0.1], [0.5, 1.0, 0.001]))
    assert lines[1] == (
        "Of the other 2, 1 is undecided, which is not absent: its interval is [−0.2, +0.4]; 1 is exactly 0 in every "
        "context."
    )


def test_a_single_row_that_is_exactly_0_is_not_called_undecided_either():
    assert said(frame([0.0], [0.0], [1.0])) == ["Change of x: a is exactly 0 in every context (t)."]


def test_of_divergences_the_largest_are_told():
    table = frame([0.2, 0.9], [0.2, 0.3], [math.nan] * 2, p_method=[DIVERGENCE] * 2, null_percentile=[50.0, 99.0])
    assert said(table, null="random units") == [
        "Change of x: a divergence, which has no test against 0; of 2 rows the largest are b +0.9 [+0.6, +1.2], a +0.2 "
        "[0, +0.4]; 1 of 2 of these outside the middle 95 % of random units (t)."
    ]


def test_a_place_in_a_null_is_told_of_established_rows_only():
    table = frame([0.5, 0.4, 0.0], [0.1, 0.1, 0.1], [0.01, 0.01, 1.0], null_percentile=[99.0, 60.0, 0.0])
    assert "; 1 of 2 of these outside the middle 95 % of random units" in said(table, null="random units")[0]
    assert "outside" not in said(table)[0]


def test_ratios_are_held_against_1():
    table = frame([3.0, 1.1], [1.0, 0.5], [0.01, 0.4])
    assert "a 3 [2, 4]" in said(table, reference=1.0)[0]


def test_only_the_last_checkpoint_and_the_wanted_rows_are_told():
    table = frame([0.9, 0.5, 0.4], [0.1] * 3, [0.01] * 3, epoch=[1, 2, 2], split=["ood", "ood", "val"])
    lines = list(
        Effects("t", "{level}", "x", rows={"split": "{shown}"}).told(table, Aggregates(custom={"shown": "ood"}), 0.05)
    )
    assert lines == ["X: b +0.5 [+0.4, +0.6], adjusted p = 0.01: established (t)."]


def test_untested_is_said():
    assert said(frame([0.1], [math.nan], [math.nan])) == ["Change of x: no row could be tested (t, 1 rows)."]


def test_a_sentence_whose_number_is_missing_is_left_out():
    told = [Sentence("A {a:.1f}."), Sentence("B {b}."), Sentence("C {c}."), Sentence("Of {level}.", table="t")]
    found = sentences(
        told, {"t": frame([0.1], [0.1], [0.5])}, Aggregates(custom={"a": math.nan, "b": None, "c": 2}), 0.05
    )
    assert found == ["C 2.", "Of a."]


def test_what_is_called_established_is_what_the_statistics_call_so():
    rng = np.random.default_rng(3)
    shifts = np.repeat([0.0, 0.3, 0.6, 1.2], 5)[:, None]
    table = effect_table(rng.normal(0, 1, (20, 40)) + shifts, np.arange(40), spec=StatsSpec(), rng=rng)
    table["level"] = [f"r{i}" for i in range(20)]
    n = int(established(table, level=0.05).sum())
    assert 0 < n < 20
    assert said(table)[0].startswith(f"Change of x: established in {n} of 20 rows tested")


def test_every_type_says_what_it_found():
    types = {option.load() for option in catalogue.options("experiment")}
    writes_its_own = {"feature_report", "feature_survey", "shuffle_null", "split_half", "sequence"}
    silent = {cls.type for cls in types if not cls.tells and cls.subject != "runs"}
    assert silent <= writes_its_own
    for cls in types:
        for told in cls.tells:
            texts = (told.row, told.of, told.null, *told.rows.values()) if isinstance(told, Effects) else (told.text,)
            for text in texts:
                list(string.Formatter().parse(text))


@pytest.mark.parametrize(
    ("metrics", "first"),
    [
        ({"head_ood_acc_raw": 0.81, "ood_delta": -0.02, "ood_delta_ci_low": -0.1, "ood_delta_ci_high": 0.03},
         ("change of OOD accuracy", "−2 %", "[−10, 3]")),
        ({"signed_swap_effect_in_sd": 0.57}, ("margin shift to the paired class", "0.57 sd", "")),
        ({"my_own_number": 3.25}, ("my own number", "3.25", "")),
    ],
)  # fmt: skip
def test_headline_numbers_have_words_units_and_intervals(metrics, first):
    head = ("s", "t", Evidence.INTERVENTIONAL, None, None, "images")
    found = estimates(Result(*head, Aggregates(), {}, Diagnostics(), metrics=metrics))
    assert (found[0].label, found[0].text, found[0].interval) == first
    assert not any("ci_" in each.name for each in found)
