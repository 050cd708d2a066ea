"""On planted features: the planted set stands first, inserting it does what is planted, and correlation is named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from paribus.errors import ConfigError
from paribus.experiments.base import perform
from paribus.experiments.builds._high_group import high_group, low_group
from paribus.experiments.builds._itemsets import gear_sets, presence_of
from paribus.experiments.builds.frequent_itemsets import FrequentItemsets
from paribus.experiments.builds.loading import build_setup
from paribus.experiments.recording import MemoryRecorder
from paribus.subjects.builds.contexts import Contexts
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.states import States
from paribus.subjects.builds.tokens import decode_build, encode_tokens
from paribus.subjects.builds.vocabulary import Vocabulary

CONFIRM = {"confirm": True, "confirm_contexts": 300, "top": 12}


def test_the_threshold_is_first_and_only_its_rung_does_anything(planted_run):
    result, _ = planted_run(FrequentItemsets(min_support=0.03, **CONFIRM), "threshold")
    assert result.aggregates.custom["top_itemset"] == "special_charge_up_29"
    assert result.tables["itemsets"].frame["p_adj"].iloc[0] < 0.01
    assert result.aggregates.custom["confirmed"] == ["special_charge_up_29"]
    assert "special_charge_up_12" in result.aggregates.custom["only_correlated"]
    frame = result.tables["confirmed"].frame.set_index("itemset")
    assert frame.loc["special_charge_up_29", "mean_delta"] == pytest.approx(1.5)
    lower = [name for name in frame.index if "charge_up_29" not in name]
    assert (frame.loc[lower, "mean_delta"] == 0).all()
    assert (frame.loc[lower, "p"] == 1).all()


def test_a_pair_that_works_together_is_found_as_the_pair(planted_run):
    result, _ = planted_run(FrequentItemsets(min_support=0.03, **CONFIRM), "and")
    assert result.aggregates.custom["top_itemset"] == "quick_respawn_3 + special_saver_3"
    assert result.tables["confirmed"].frame["mean_delta"].iloc[0] == pytest.approx(2.0)


def test_support_and_lift_are_counted_in_all_contexts(planted_run):
    result, setup = planted_run(FrequentItemsets(min_support=0.03), "threshold")
    row = result.tables["itemsets"].frame.iloc[0]
    reached = setup.edits.highest_rung(setup.contexts.states(), "SCU") >= 29
    assert row["support"] == pytest.approx(reached.mean())
    assert row["support_high"] == 1
    assert row["support_rest"] == 0
    assert np.isfinite(result.tables["itemsets"].frame[["lift", "lift_low", "lift_high", "odds_ratio"]]).all(axis=None)


def test_the_null_feature_has_lift_one_and_p_one(planted_run):
    result, _ = planted_run(FrequentItemsets(min_support=0.05, **CONFIRM), "null")
    frame = result.tables["itemsets"].frame
    assert (frame[["lift", "odds_ratio", "p", "p_adj"]] == 1).all(axis=None)
    assert (result.tables["confirmed"].frame[["mean_delta", "ci_low", "ci_high"]] == 0).all(axis=None)
    assert any("constant" in w for w in result.diagnostics.warnings)


def test_noise_that_comes_by_build_enriches_nothing(planted_run):
    result, _ = planted_run(FrequentItemsets(), "source", n_builds=300, data={"contexts_per_build": 5})
    assert result.aggregates.custom["n_significant"] == 0
    row, _ = planted_run(FrequentItemsets(unit="row"), "source", n_builds=300, data={"contexts_per_build": 5})
    assert row.aggregates.custom["n_significant"] == 0


def test_inserting_raises_what_is_lower_and_leaves_what_is_higher(planted_run):
    _, setup = planted_run(FrequentItemsets(min_support=0.05), "dose")
    vocabulary = setup.vocabulary
    rows = [["swim_speed_up_3"], ["swim_speed_up_12", "haunt"], ["swim_speed_up_6", "ninja_squid"]]
    states = States.of(np.stack([encode_tokens(r, vocabulary, 0) for r in rows]), np.arange(3))
    found = gear_sets(states.codes[[2, 2]], vocabulary, min_support=1.0, max_size=2)
    assert [each.label for each in found] == ["ninja_squid + swim_speed_up_6"]
    inserted = found[0].inserted(setup.edits, states)
    assert inserted.ok.tolist() == [True, True, False]
    assert decode_build(inserted.codes[0], vocabulary) == {"ninja_squid": 10, "swim_speed_up": 6}
    assert decode_build(inserted.codes[1], vocabulary) == {"ninja_squid": 10, "swim_speed_up": 12}
    assert presence_of(found, setup.edits, states)[:, 0].tolist() == [False, False, True]


def test_nested_rungs_collapse_to_the_capstone():
    vocabulary = Vocabulary.default()
    codes = np.stack([encode_tokens(["swim_speed_up_12"], vocabulary, 0)] * 3)
    assert [s.label for s in gear_sets(codes, vocabulary, min_support=0.5, max_size=3)] == ["swim_speed_up_12"]


def test_the_high_group_of_a_silent_feature_is_where_it_is_active():
    f = np.array([0, 0, 0, 0, 0, 1.0, 2, 3])
    assert high_group(f, 0.5).tolist() == [False] * 5 + [True] * 3
    assert high_group(f, 0.8).tolist() == [False] * 6 + [True] * 2
    assert not high_group(np.full(4, 0.5), 0.9).any()
    assert low_group(f, 0.1, high_group(f, 0.5)).tolist() == [True] * 5 + [False] * 3


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"high_quantile": 90}, r"fraction.*say 0\.9"),
        ({"high_quantile": 1.0}, "fraction"),
        ({"max_size": 0}, "max_size"),
    ],
)
def test_wrong_requests_are_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        FrequentItemsets(**fields)


def test_support_that_nothing_reaches_is_refused(planted_run):
    with pytest.raises(ConfigError, match="min_support"):
        planted_run(FrequentItemsets(min_support=0.9), "dose", n_builds=100)


def test_the_cap_keeps_the_largest_support_and_says_so(planted_run):
    result, _ = planted_run(FrequentItemsets(max_itemsets=5), "dose", n_builds=100)
    assert len(result.tables["itemsets"].frame) == 5
    assert any("max_itemsets" in w for w in result.diagnostics.warnings)


def test_the_effect_vector_has_the_same_entries_for_both_halves(planted_run):
    experiment = FrequentItemsets(min_support=0.05)
    _, setup = planted_run(experiment, "dose", n_builds=800)
    rows = np.arange(len(setup.contexts))
    halves = [experiment.effect_vector(setup.restrict(rows[setup.cluster % 2 == h])) for h in (0, 1)]
    assert halves[0].labels == halves[1].labels
    assert np.corrcoef(halves[0].values, halves[1].values)[0, 1] > 0.5
    shuffled = setup.with_activations(*(setup.rng("x").permuted(v) for v in (setup.corpus_measured.f,) * 2))
    assert not np.allclose(experiment.effect_vector(shuffled).values, experiment.effect_vector(setup).values)


def test_sets_that_can_be_inserted_nowhere_have_no_mean_effect(planted_run):
    corpus = BuildsGenerated(n_builds=40, seed=1).load()
    same = dataclasses.replace(corpus, contexts=Contexts(corpus.contexts.codes[np.zeros(40, int)], np.arange(40)))
    setup = planted_run.setup("dose")
    setup = build_setup(data=same, model=Planted(), feature=setup.feature, seed=0, stats=setup.stats)
    found = perform(FrequentItemsets(confirm=True, top=2, max_itemsets=5), setup, MemoryRecorder()).aggregates
    assert found.mean_delta is None and found.std_delta is None
