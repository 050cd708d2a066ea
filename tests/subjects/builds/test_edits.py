from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.errors import ConfigError, ExperimentError
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.edits import Edits
from paribus.subjects.builds.enforcement import Constraints, pairs_seen
from paribus.subjects.builds.families import FAMILIES, STACKING
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.legality import legal
from paribus.subjects.builds.states import States, concatenate, stack
from paribus.subjects.builds.tokens import capstones, decode_build, encode_tokens, token_names
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons

VOCABULARY, WEAPONS = Vocabulary.default(), Weapons.default()
EDITS = Edits(VOCABULARY, WEAPONS)
CORPUS = BuildsGenerated(n_builds=300, seed=3).load()
STRICT = Constraints(
    ConstraintsSpec(avoid_ood_token_combinations="hard"), VOCABULARY, pairs_seen(CORPUS.contexts.codes)
)


def state(*tokens, weapon=0):
    return States.of(encode_tokens(tokens, VOCABULARY, weapon)[None], np.zeros(1, np.int64))


def shown(states):
    return token_names(states.codes[0], VOCABULARY)


def test_setting_a_rung_replaces_all_tokens_of_the_family_and_no_other():
    before = state("SSU_12", "SSU_38", "comeback", "run_speed_up_6")
    after = EDITS.set_rung(before, "SSU", 12)
    assert shown(after) == ("comeback", "run_speed_up_6", "swim_speed_up_3", "swim_speed_up_6", "swim_speed_up_12")
    assert shown(EDITS.set_rung(before, "SSU", None)) == shown(EDITS.set_rung(before, "SSU", 0))
    assert shown(EDITS.set_rung(before, "swim_speed_up", None)) == ("comeback", "run_speed_up_6")
    assert shown(before) == ("comeback", "run_speed_up_6", "swim_speed_up_12", "swim_speed_up_38")  # untouched


def test_a_main_only_ability_displaces_that_of_its_piece():
    before = state("comeback", "stealth_jump")
    after = EDITS.set_rung(before, "tenacity", 10)
    assert shown(after) == ("tenacity", "stealth_jump")
    assert EDITS.displaces(before, "tenacity").tolist() == [True]
    assert EDITS.displaces(before, "comeback").tolist() == [False]
    assert EDITS.displaces(before, "haunt").tolist() == [False]
    with pytest.raises(ConfigError, match="its rungs are 10"):
        EDITS.set_rung(before, "comeback", 3)


def test_single_tokens_leave_the_rest_of_their_family():
    before = state("SSU_3", "SSU_6", "SSU_12")
    assert shown(EDITS.remove_tokens(before, ["SSU_6"])) == ("swim_speed_up_3", "swim_speed_up_12")
    assert EDITS.highest_rung(EDITS.remove_tokens(before, ["SSU_12"]), "SSU").tolist() == [6]


def test_raw_tokens_that_leave_two_capstones_are_marked_and_dropped():
    clean = EDITS.add_tokens(state("comeback"), ["SSU_12"])
    same = EDITS.add_tokens(state("SSU_3", "SSU_6", "SSU_12"), ["SSU_12"])
    two = EDITS.add_tokens(state("SSU_3", "SSU_6", "SSU_29"), ["SSU_12"])
    assert [bool(s.clash[0]) for s in (clean, same, two)] == [False, False, True]
    enforced = STRICT.enforce(two)
    assert not enforced.states.ok[0] and enforced.violations == {"one_rung_per_family": 1}


def test_closing_adds_what_lies_below_the_highest_token():
    closed = EDITS.close_context(state("SSU_12", "comeback", "RSU_6", "RSU_3"))
    assert shown(closed) == (
        "comeback", "run_speed_up_3", "run_speed_up_6", "swim_speed_up_3", "swim_speed_up_6", "swim_speed_up_12",
    )  # fmt: skip
    assert shown(EDITS.close_context(closed)) == shown(closed)


def test_removing_units_by_name_and_by_mask():
    before = state("SSU_12", "comeback", "RSU_6")
    assert shown(EDITS.remove_units(before, ["SSU", "comeback"])) == ("run_speed_up_6",)
    drop = np.zeros((2, 1, 26), bool)
    drop[1, 0, VOCABULARY.family("comeback").index] = True
    lattice = EDITS.remove_where(before[None], drop)
    assert lattice.shape == (2, 1)
    assert token_names(lattice.codes[1, 0], VOCABULARY) == ("run_speed_up_6", "swim_speed_up_12")


def test_weapons_are_swapped_by_name_index_or_array():
    before = state("SSU_12", weapon=5)
    assert EDITS.swap_weapon(before, "Splattershot").weapon.tolist() == [WEAPONS.index("Splattershot")]
    grid = EDITS.swap_weapon(before[None], np.arange(WEAPONS.size)[:, None])
    assert grid.shape == (130, 1) and grid.weapon[:, 0].tolist() == list(range(130))
    with pytest.raises(ConfigError, match="no weapon"):
        EDITS.swap_weapon(before, "Splaterscoop")
    with pytest.raises(ConfigError, match="outside 0 to 129"):
        EDITS.swap_weapon(before, 130)


def test_inserting_makes_each_token_the_capstone_of_its_family():
    after = EDITS.insert_tokens(state("SSU_29", "comeback"), ["SSU_6", "tenacity", "SSU_12"])
    assert decode_build(after.codes[0], VOCABULARY) == {"tenacity": 10, "swim_speed_up": 12}
    with pytest.raises(ConfigError, match="comeback and tenacity both need the main slot of the head piece"):
        EDITS.insert_tokens(after, ["comeback", "tenacity"])
    with pytest.raises(ConfigError, match="no ability token"):
        EDITS.insert_tokens(after, ["comebak"])


def test_a_sweep_stacks_the_levels():
    swept = EDITS.sweep(CORPUS.contexts.states(), "SCU", [None, *EDITS.levels("SCU")])
    assert swept.shape == (10, len(CORPUS.contexts))
    assert (EDITS.highest_rung(swept, "SCU") == np.array([0, *VOCABULARY.rungs])[:, None]).all()
    with pytest.raises(ConfigError, match="no levels"):
        stack([])


edit = st.one_of(
    st.tuples(st.just("rung"), st.integers(0, 25), st.integers(-1, 8)),
    st.tuples(st.just("insert"), st.integers(0, 137), st.integers(0, 137)),
    st.tuples(st.just("drop"), st.integers(0, 25), st.integers(0, 25)),
    st.tuples(st.just("close"), st.none(), st.none()),
    st.tuples(st.just("weapon"), st.integers(0, 129), st.none()),
)


def apply(states, what, a, b):
    if what == "rung":
        levels = (None, *EDITS.levels(FAMILIES[a]))
        return EDITS.set_rung(states, FAMILIES[a], levels[(b + 1) % len(levels)])
    if what == "insert":
        tokens = [VOCABULARY.ability_tokens[a], VOCABULARY.ability_tokens[b]]
        try:
            return EDITS.insert_tokens(states, tokens)
        except ConfigError:
            return states
    if what == "drop":
        return EDITS.remove_units(states, [FAMILIES[a], FAMILIES[b]])
    return EDITS.close_context(states) if what == "close" else EDITS.swap_weapon(states, np.int64(a))


@settings(deadline=None, max_examples=80)
@given(
    rows=st.lists(st.integers(0, len(CORPUS.contexts) - 1), min_size=1, max_size=8), edits=st.lists(edit, max_size=6)
)
def test_every_edit_of_a_legal_context_is_legal_or_refused(rows, edits):
    states = CORPUS.contexts.states()[np.array(rows)]
    before = states.codes.copy()
    for what, a, b in edits:
        states = apply(states, what, a, b)
    kept = STRICT.enforce(states).states
    assert legal(kept.codes[kept.ok], VOCABULARY).all()
    assert not kept.empty[kept.ok].any()
    refused = ~kept.ok & ~states.empty & legal(states.codes, VOCABULARY)
    seen = pairs_seen(CORPUS.contexts.codes)
    for codes in states.codes[refused]:  # refused though it can be worn: only for a pair that never occurs
        present = np.flatnonzero(EDITS.families_present(States.of(codes[None], np.zeros(1, np.int64)))[0])
        assert any(not seen[i, j] for i in present for j in present if i != j)
    assert np.array_equal(CORPUS.contexts.codes[np.array(rows)], before)


@settings(deadline=None, max_examples=60)
@given(row=st.integers(0, len(CORPUS.contexts) - 1), family=st.integers(0, 13), place=st.integers(0, 8))
def test_an_edit_never_leaves_two_capstones(row, family, place):
    states = CORPUS.contexts.states()[np.array([row])]
    edited = EDITS.set_rung(states, STACKING[family], VOCABULARY.rungs[place])
    assert capstones(edited.codes)[0, family] == place
    assert int(edited.codes[0, family]) == (1 << place + 1) - 1  # the closed set and nothing above it
    others = [i for i in range(14) if i != family]
    assert np.array_equal(edited.codes[0, others], states.codes[0, others])


def test_constraints_count_and_warn_as_their_levels_say():
    states = EDITS.set_rung(state("SSU_57"), "RSU", 57)
    counts = {"valid_gear_combinations": 1, "max_ap_budget": 1}
    for policy, kept, warned in (("drop", False, False), ("warn", False, True)):
        enforced = Constraints(ConstraintsSpec(on_violation=policy), VOCABULARY).enforce(states)
        assert enforced.violations == counts
        assert bool(enforced.states.ok[0]) is kept and bool(enforced.warnings) is warned
    with pytest.raises(ExperimentError, match="valid_gear_combinations"):
        Constraints(ConstraintsSpec(on_violation="error"), VOCABULARY).enforce(states)
    soft = ConstraintsSpec(valid_gear_combinations="soft", max_ap_budget="soft")
    enforced = Constraints(soft, VOCABULARY).enforce(states)
    assert enforced.violations == counts and enforced.states.ok[0] and len(enforced.warnings) == 2
    again = Constraints(soft, VOCABULARY).enforce(enforced.states)
    assert again.violations == {} and again.states is enforced.states


def test_the_empty_set_is_counted_and_left_out():
    emptied = EDITS.remove_units(state("SSU_12"), ["SSU"])
    enforced = Constraints(ConstraintsSpec(), VOCABULARY).enforce(emptied)
    assert not enforced.states.ok[0] and enforced.violations == {"empty_set": 1}
    assert Constraints(ConstraintsSpec(keep_empty=True), VOCABULARY).enforce(emptied).states.ok[0]


def test_pairs_the_corpus_never_joins_are_kept_apart():
    seen = pairs_seen(np.stack([state("SSU_12", "comeback").codes[0], state("RSU_3").codes[0]]))
    constraints = Constraints(ConstraintsSpec(avoid_ood_token_combinations="hard"), VOCABULARY, seen)
    joined = EDITS.set_rung(state("SSU_12", "comeback"), "RSU", 3)
    assert constraints.enforce(joined).violations == {"avoid_ood_token_combinations": 1}
    assert constraints.enforce(state("SSU_3", "comeback")).states.ok[0]


def test_weapon_experiments_are_gated_on_the_relu_floor():
    for level, expected in (("soft", "warn"), ("hard", "skip"), ("off", "go")):
        constraints = Constraints(ConstraintsSpec(no_weapon_gating_if_relu_floor=level), VOCABULARY)
        assert constraints.weapon_gate(0.51) == expected
        assert constraints.weapon_gate(0.5) == "go"


def test_a_hundred_thousand_random_edits_and_none_illegal():
    rng = np.random.default_rng(0)
    states = CORPUS.contexts.states()[rng.integers(0, len(CORPUS.contexts), 20_000)]
    kept = 0
    for _ in range(5):
        family = FAMILIES[rng.integers(26)]
        levels = (None, *EDITS.levels(family))
        edited = EDITS.set_rung(states, family, levels[rng.integers(len(levels))])
        edited = STRICT.enforce(EDITS.swap_weapon(edited, rng.integers(0, 130, 20_000))).states
        assert legal(edited.codes[edited.ok], VOCABULARY).all()
        kept += int(edited.ok.sum())
        codes = np.where(edited.ok[:, None], edited.codes, states.codes)  # go on from what was legal
        states = States.of(codes, states.source)
    assert kept > 40_000


def test_states_that_are_joined_keep_every_field():
    codes = np.arange(5 * 16, dtype=np.uint16).reshape(5, 16)
    whole = States(codes, np.arange(5), np.arange(5) != 1, np.arange(5) == 3, True)
    parts = [whole[:2], whole[2:]]
    found = concatenate(parts)
    for name in ("codes", "source", "ok", "clash", "checked"):
        assert np.array_equal(getattr(found, name), getattr(whole, name)), name
    assert not concatenate([parts[0], replace(parts[1], checked=False)]).checked
