"""On planted features: brute force over the same contexts, and the labels that planted interactions deserve."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paribus.errors import ConfigError
from paribus.experiments.builds._interaction_labels import pair_labels, parts
from paribus.experiments.builds.conditional_interactions import ConditionalInteractions
from paribus.experiments.builds.pairwise_interactions import PairwiseInteractions
from paribus.experiments.builds.pairwise_interactions.work import chosen_candidates
from paribus.figures.draw import draw
from paribus.subjects.builds.models.nets.planted import DRIVERS


def pair_of(frame, a, b):
    rows = frame[frame[["token_a", "token_b"]].isin([a, b]).all(axis=1)]
    assert len(rows) == 1
    return rows.iloc[0]


def value(setup, states, read="f"):
    """The feature of each state, measured by itself: no design, no contrasts."""
    return getattr(setup.measure(states), read)


def levels(setup, present, base, candidates):
    """Set the candidates in ``present`` and take the others away."""
    for name, level in candidates.items():
        base = setup.edits.set_rung(base, name, level if name in present else None)
    return base


@pytest.mark.parametrize("feature", ["xor", "noisy", "relu_sum"])
def test_second_and_third_differences_are_those_of_brute_force(planted_run, feature):
    wanted = {"intensify_action": 6, "run_speed_up": 6, "sub_power_up": 6}
    names = list(wanted)
    experiment = PairwiseInteractions(candidates=names, rung=6)
    result, setup = planted_run(experiment, feature, n_builds=40)
    base = setup.contexts.states()
    pairs, triples = result.tables["interactions"].frame, result.tables["triples"].frame
    for column, read in (("interaction_activation", "f"), ("interaction_preactivation", "z")):
        for a, b in [(0, 1), (0, 2), (1, 2)]:
            pair = {names[a]: 6, names[b]: 6}
            corners = [
                value(setup, levels(setup, c, base, pair), read) for c in ([], pair, names[a : a + 1], [names[b]])
            ]
            expected = corners[0] + corners[1] - corners[2] - corners[3]
            row = pair_of(pairs, names[a], names[b])
            assert row["n"] == (~np.isnan(expected)).sum()
            assert row[column] == pytest.approx(np.nanmean(expected), abs=1e-6)
    total = np.zeros(len(setup.contexts))
    for s in range(8):
        present = [name for i, name in enumerate(names) if s >> i & 1]
        total += (-1) ** (3 - len(present)) * value(setup, levels(setup, present, base, wanted))
    assert triples["third_difference"].item() == pytest.approx(np.nanmean(total), abs=1e-6)


@pytest.mark.parametrize(
    ("feature", "label", "interaction"),
    [
        ("and", "synergy", 2.0),
        ("or", "redundancy", -2.0),
        ("relu_sum", "output_nonlinearity", 1.0),
        ("clamped_sum", "output_nonlinearity", -1.0),
    ],
)
def test_planted_pairs_get_their_label_and_nothing_else_does(planted_run, feature, label, interaction):
    result, _ = planted_run(PairwiseInteractions(n_candidates=6), feature)
    frame = result.tables["interactions"].frame
    row = pair_of(frame, *DRIVERS[feature])
    assert row["label"] == label
    assert row["interaction_activation"] == pytest.approx(interaction)
    assert row["p_adj"] < 0.05
    others = frame.drop(row.name)
    assert set(others["label"]) <= {"none", "untested"}
    assert (others["interaction_activation"].dropna() == 0).all()
    assert set(result.tables["triples"].frame["label"]) == {"none"}
    for name, of in (("synergies", "synergy"), ("redundancies", "redundancy")):
        assert len(result.tables[name].frame) == (label == of)
    for figure in result.figures:
        draw(figure, {name: table.frame for name, table in result.tables.items()})


def test_xor_of_three_is_third_order_and_no_synergy(planted_run):
    result, _ = planted_run(PairwiseInteractions(n_candidates=5), "xor")
    pairs, triples = result.tables["interactions"].frame, result.tables["triples"].frame
    third = triples[triples["label"] == "third_order"]
    assert len(third) == 1
    assert set(third[["token_a", "token_b", "token_c"]].iloc[0]) == set(DRIVERS["xor"])
    assert third["third_difference"].item() == pytest.approx(8.0)
    assert third["ab_without_third"].item() == pytest.approx(-4.0)
    assert third["ab_with_third"].item() == pytest.approx(4.0)
    assert (pairs["label"] == "third_order").sum() == 3
    assert not pairs["label"].isin(["synergy", "redundancy", "output_nonlinearity"]).any()
    of = pair_of(pairs, "intensify_action", "sub_power_up")
    assert of["redundant"] > 0 and of["synergistic"] > 0


@pytest.mark.parametrize("feature", ["null", "source", "dose"])
@pytest.mark.parametrize("method", ["second_difference", "sii"])
def test_where_nothing_interacts_all_is_exactly_zero(planted_run, feature, method):
    names = ["ISM", "ISS", "SCU", "QR", "comeback"]
    result, _ = planted_run(PairwiseInteractions(candidates=names, method=method), feature)
    for table in ("interactions", "triples"):
        frame = result.tables[table].frame
        tested = frame[frame["p"].notna()]
        assert method == "sii" or len(tested)
        assert (tested[["p", "p_adj"]] == 1).all(axis=None)
        assert (tested[["ci_low", "ci_high"]] == 0).all(axis=None)
        assert set(frame["label"]) <= {"none", "untested"}


def test_shapley_interactions_are_those_of_what_contexts_show(planted_run):
    result, setup = planted_run(PairwiseInteractions(candidates=["QR", "SS", "SSU"], method="sii"), "and", n_builds=900)
    frame = result.tables["interactions"].frame
    row = pair_of(frame, "quick_respawn", "special_saver")
    present = setup.edits.families_present(setup.contexts.states())
    both = present[:, setup.vocabulary.family("QR").index] & present[:, setup.vocabulary.family("SS").index]
    assert 0 < row["n"] <= both.sum()
    assert row["interaction_activation"] == pytest.approx(2.0)
    assert row["effect_a"] == row["unique_a"] == row["redundant"] == pytest.approx(0.0)
    assert row["synergistic"] == pytest.approx(2.0)
    others = frame.drop(row.name)["interaction_activation"].dropna()
    assert (others.abs() < 1e-6).all()


def test_shapley_interactions_are_averages_over_orders(planted_run):
    """Each context by itself: the mean over all orders of its players, straight from the definition."""
    from itertools import permutations

    names = ["QR", "SS", "SSU", "IA", "RSU"]
    result, setup = planted_run(PairwiseInteractions(candidates=names, method="sii"), "noisy", n_builds=120)
    found = {}
    for i in range(len(setup.contexts)):
        state = setup.contexts.states()[[i]]
        shown = [name for name in names if setup.edits.highest_rung(state, name)[0]]

        def worth(coalition, state=state, shown=shown):
            return setup.measure(setup.edits.remove_units(state, [x for x in shown if x not in coalition])).f[0]

        for a, b in [(a, b) for k, a in enumerate(shown) for b in shown[k + 1 :]]:
            others = [x for x in shown if x not in (a, b)]
            terms = []
            for order in permutations([*others, "pair"]):
                before = set(order[: order.index("pair")])
                steps = [worth(before | more) - worth(before) for more in ({a, b}, {a}, {b})]
                terms.append((steps[0] - steps[1] - steps[2], *steps))
            found.setdefault((a, b), []).append(np.mean(terms, axis=0))
    frame = result.tables["interactions"].frame
    assert len(found) == 10
    for (a, b), values in found.items():
        row = pair_of(frame, *(setup.vocabulary.family(x).name for x in (a, b)))
        assert row["n"] == np.isfinite(values).all(1).sum()
        if row["n"]:
            interaction, both, first, second = np.nanmean(values, axis=0)
            assert row["interaction_activation"] == pytest.approx(interaction, abs=1e-6)
            assert row[["effect_a", "effect_b"]].tolist() == pytest.approx([first, second], abs=1e-6)
            joint = row[["unique_a", "unique_b", "redundant", "synergistic"]].sum()
            assert joint * row["direction"] == pytest.approx(both, abs=1e-6)


def test_candidates_are_chosen_on_other_builds_than_they_are_reported_on(planted_run):
    experiment = PairwiseInteractions(n_candidates=3)
    _, setup = planted_run(experiment, "xor")
    choice = chosen_candidates(experiment, setup, None)
    assert {c.family.name for c in choice.candidates} == set(DRIVERS["xor"])
    reported = set(setup.cluster[choice.rows])
    others = np.setdiff1d(np.arange(len(setup.contexts)), choice.rows)
    assert len(others) == choice.n_chosen_on
    assert not reported & set(setup.cluster[others])
    vector = experiment.effect_vector(setup)
    assert len(vector.labels) == 3
    assert np.isnan(vector.differences[:, others]).all()


@pytest.mark.parametrize(
    ("feature", "family", "rung", "rms"),
    [
        ("threshold", "special_charge_up", 29, 1.5),  # nothing below 29 AP: the rung that builds usually show is 6
        ("long_dose", "ink_saver_main", 15, 15 / 57),  # under a quarter of the whole dose at the usual 6 AP
        ("saturating", "ink_recovery_up", 6, 3 * (1 - np.exp(-6 / 12))),  # shows itself at the usual rung: left there
    ],
)
@pytest.mark.parametrize("modulator", [None, "SSU"])
def test_candidates_are_looked_for_at_every_rung(planted_run, hard, feature, family, rung, rms, modulator):
    fields = {"modulator": modulator} if modulator else {"triples": False}
    experiment = (ConditionalInteractions if modulator else PairwiseInteractions)(n_candidates=3, **fields)
    result, _ = planted_run(experiment, feature, model=hard.MODEL, stats={"n_null": 0})
    first = result.tables["candidates"].frame.iloc[0]
    assert (first["token"], first["ap"]) == (family, rung)
    assert first["single_effect_rms"] == pytest.approx(rms, rel=1e-5)
    assert any("of 3 candidates 1 by itself moves the feature" in warning for warning in result.diagnostics.warnings)
    assert first["largest_effect_rms"] > 0 and first["largest_at"] >= first["ap"]


@pytest.mark.parametrize("feature", ["null", "class_gate"])
def test_where_no_family_moves_the_feature_the_result_says_so(planted_run, hard, feature):
    result, _ = planted_run(PairwiseInteractions(triples=False), feature, model=hard.MODEL, stats={"n_null": 0})
    assert any("no family moves the feature by 0.1 sd" in warning for warning in result.diagnostics.warnings)
    assert result.tables["candidates"].frame["largest_at"].isna().all()


def test_many_contexts_are_sampled_for_the_choice(planted_run, monkeypatch):
    from paribus.experiments.builds import _candidates

    monkeypatch.setattr(_candidates, "MOST_SCREENED", 50)
    result, setup = planted_run(PairwiseInteractions(n_candidates=3, triples=False), "xor")
    assert set(result.tables["candidates"].frame["token"]) == set(DRIVERS["xor"])
    assert result.tables["candidates"].description.endswith("Chosen on 50 contexts of other source builds.")
    assert result.aggregates.n_samples == len(setup.contexts) // 2


def test_chosen_candidates_can_all_stand_together(planted_run):
    experiment = PairwiseInteractions(n_candidates=14)
    for feature in ("null", "noisy"):
        _, setup = planted_run(experiment, feature, n_builds=60)
        chosen = chosen_candidates(experiment, setup, None).candidates
        assert len(chosen) == 14
        assert not any(a.excludes(b) for i, a in enumerate(chosen) for b in chosen[i + 1 :])


def test_tokens_are_set_as_capstones(planted_run):
    names = ["special_charge_up_29", "swim_speed_up_3"]
    result, _ = planted_run(PairwiseInteractions(candidates=names), "threshold")
    row = result.tables["interactions"].frame.iloc[0]
    assert row["effect_a"] == pytest.approx(1.5)
    assert row["effect_b"] == 0
    assert result.tables["candidates"].frame["ap"].tolist() == [29, 3]


def test_what_cannot_stand_together_is_untested_and_not_zero(planted_run):
    result, _ = planted_run(PairwiseInteractions(candidates=["comeback", "tenacity", "SSU_3", "SSU_12"]), "dose")
    frame = result.tables["interactions"].frame
    for a, b in [("comeback", "tenacity"), ("swim_speed_up_3", "swim_speed_up_12")]:
        row = pair_of(frame, a, b)
        assert row["n"] == 0 and row["label"] == "untested" and np.isnan(row["interaction_activation"])


def test_two_suppressors_are_redundant_where_one_does_all():
    table = pd.DataFrame({"mean_delta": [1.0, -2.0], "p": [0.01, 0.01]})
    yes = np.array([True, True])
    assert pair_labels(table, yes, yes, np.array([-1.0, -1.0])) == ["redundancy", "synergy"]
    assert pair_labels(table, yes, yes, np.array([1.0, 1.0])) == ["synergy", "redundancy"]


def test_the_parts_add_up_to_the_joint_effect():
    rng = np.random.default_rng(0)
    a, b, both = rng.normal(size=(3, 4, 50))
    both[1, :10] = np.nan
    direction = np.array([1.0, -1.0, 1.0, -1.0])
    supported = ~np.isnan(both)
    means = (part.mean(1, where=supported) for part in (a, b, np.maximum(both, 0.0), np.maximum(-both, 0.0)))
    found = parts(*means, direction)
    joint = np.nanmean(np.where(np.isnan(both), np.nan, a + b + both), 1)
    np.testing.assert_allclose(sum(found.values()), direction * joint)
    assert (found["redundant"] >= 0).all() and (found["synergistic"] >= 0).all()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"candidates": ["SSU", "run_speed"]}, "run_speed_up"),
        ({"candidates": ["SSU", "SSU_35"]}, "its rungs are 3, 6"),
        ({"candidates": ["SSU"]}, "at least two"),
        ({"candidates": ["SSU", "swim_speed_up"]}, "twice"),
        ({"candidates": ["comeback", "tenacity"]}, "head piece"),
        ({"candidates": ["SSU_3", "SSU_12"]}, "one family"),
        ({"candidates": ["SSU", "QR"], "stable_tokens": ["SSU_3"]}, "held"),
        ({"candidates": ["SSU_3", "QR"], "method": "sii"}, "families"),
        ({"candidates": ["SSU_57", "QR_57"]}, "none of"),
    ],
)
def test_wrong_requests_name_what_is_valid(planted_run, fields, said):
    with pytest.raises(ConfigError, match=said):
        planted_run(PairwiseInteractions(**fields), "dose", n_builds=40)
