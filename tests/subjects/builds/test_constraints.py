"""What edited states must satisfy: counts, levels, and the pairs of families that a corpus holds."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from paribus.errors import ExperimentError
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.edits import Edits
from paribus.subjects.builds.enforcement import Constraints, pairs_seen
from paribus.subjects.builds.families import FAMILIES
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.legality import legal, total_points
from paribus.subjects.builds.tokens import token_names


@pytest.fixture(scope="module")
def corpus():
    return BuildsGenerated(n_builds=60, seed=3).load()


@pytest.fixture(scope="module")
def swept(corpus):
    return Edits(corpus.vocabulary, corpus.weapons).sweep(corpus.contexts.states(), "SCU", [12, 57])


def families_of(codes, vocabulary):
    names = token_names(codes, vocabulary)
    return {
        number
        for number, family in enumerate(FAMILIES)
        if any(name == family.name or name.startswith(f"{family.name}_") for name in names)
    }


def test_pairs_are_those_that_stand_in_one_state(corpus):
    expected = np.zeros((len(FAMILIES), len(FAMILIES)), bool)
    for codes in corpus.contexts.codes:
        for a, b in itertools.product(families_of(codes, corpus.vocabulary), repeat=2):
            expected[a, b] = True
    assert np.array_equal(pairs_seen(corpus.contexts.codes), expected)
    assert expected.any() and not expected.all()


def test_what_is_broken_is_counted_and_taken_out_only_where_it_is_hard(corpus, swept):
    impossible = ~legal(swept.codes, corpus.vocabulary) & swept.ok
    costly = total_points(swept.codes, corpus.vocabulary) > 57
    assert impossible.any() and not impossible.all()
    for level, warned in (("hard", 0), ("soft", 1)):
        spec = ConstraintsSpec(valid_gear_combinations=level, max_ap_budget="off", keep_empty=True)
        found = Constraints(spec, corpus.vocabulary).enforce(swept)
        assert found.violations == {"valid_gear_combinations": int(impossible.sum())}
        assert len(found.warnings) == warned
        assert np.array_equal(found.states.ok, swept.ok & ~impossible if level == "hard" else swept.ok)
    off = ConstraintsSpec(valid_gear_combinations="off", max_ap_budget="off", keep_empty=True)
    assert Constraints(off, corpus.vocabulary).enforce(swept).violations == {}
    doubled = np.array([["ability_doubler" in token_names(c, corpus.vocabulary) for c in row] for row in swept.codes])
    budget = Constraints(replace(off, max_ap_budget="hard"), corpus.vocabulary).enforce(swept)
    over = costly & ~doubled | (total_points(swept.codes, corpus.vocabulary) > 66)
    assert budget.violations.get("max_ap_budget", 0) == int((over & swept.ok).sum()) > 0
    with pytest.raises(ExperimentError, match=f"broken by {int(impossible.sum())} of {int(swept.ok.sum())} edited"):
        Constraints(ConstraintsSpec(on_violation="error", keep_empty=True), corpus.vocabulary).enforce(swept)


def test_a_pair_that_never_occurs_together_is_refused(corpus, swept):
    spec = ConstraintsSpec(
        avoid_ood_token_combinations="hard", valid_gear_combinations="off", max_ap_budget="off", keep_empty=True
    )
    assert Constraints(spec, corpus.vocabulary).enforce(swept).violations == {}, "without a corpus nothing is known"
    seen = pairs_seen(corpus.contexts.codes[:20])
    found = Constraints(spec, corpus.vocabulary, seen).enforce(swept).states
    for place in np.ndindex(swept.shape):
        pairs = itertools.combinations(families_of(swept.codes[place], corpus.vocabulary), 2)
        assert found.ok[place] == (swept.ok[place] and all(seen[a, b] for a, b in pairs))


@pytest.mark.parametrize(
    ("level", "rate", "answer"),
    [("off", 0.9, "go"), ("soft", 0.5, "go"), ("soft", 0.51, "warn"), ("hard", 0.6, "skip")],
)
def test_weapons_are_held_back_where_most_contexts_are_silent(corpus, level, rate, answer):
    spec = ConstraintsSpec(no_weapon_gating_if_relu_floor=level)
    assert Constraints(spec, corpus.vocabulary).weapon_gate(rate) == answer
