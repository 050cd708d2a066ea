"""Features of two models with a planted permutation: matched exactly; drivers counted as they were planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paribus.compare._seen_features import gathered
from paribus.compare.compare_features import CompareFeatures
from paribus.errors import ConfigError, ExperimentError
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.figures.draw import draw
from paribus.stats.intervals import NO_SAMPLE
from paribus.stats.spec import StatsSpec

N, EDITS = 6, 24
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(0, 1, (N, EDITS))
ORDER = RNG.permutation(N)
DRIVERS = {feature: list(range(feature)) for feature in range(N)}
"""Feature k is driven by the first k edits, so feature 0 by none."""


def influence(values, drivers):
    sure = np.isin(np.arange(EDITS), drivers)
    ends = {"ci_adj_low": np.where(sure, 0.1, -1.0), "ci_adj_high": 2.0, "ci_low": -1.0, "ci_high": 2.0}
    frame = pd.DataFrame(
        {"token": [f"t{k}" for k in range(EDITS)], "mean_delta": np.where(sure, np.abs(values), values)}
    )
    return frame.assign(**ends, p_adj=np.where(sure, 0.001, 0.9), ci_method="bootstrap_t", p_method="exact")


def one(model, feature, kind, tables=None, **aggregates):
    run_id = f"{model}{feature}{kind}"
    return CollectedRun(
        run_id=run_id, identity=run_id, experiment_type=kind, model_run=model, tables=tables or {},
        aggregates=aggregates, tags={"feature": f"latent {feature}"}, code_version="c",
    )  # fmt: skip


def runs():
    made = []
    for feature in range(N):
        own = influence(VECTORS[feature], DRIVERS[feature])
        made.append(one("aaaaaaaa1", feature, "token_influence_sweep", {"influence": own}))
        source = int(ORDER[feature])
        noisy = VECTORS[source] + 0.02 * RNG.normal(size=EDITS)
        other = influence(noisy, DRIVERS[source])
        made.append(one("bbbbbbbb2", feature, "token_influence_sweep", {"influence": other}))
    cores = pd.DataFrame({"core": ["x", "x + y"]})
    made += [one("aaaaaaaa1", k, "minimal_cores", {"cores": cores.iloc[: k + 1]}) for k in range(2)]
    made += [one("aaaaaaaa1", k, "split_half", passed=k > 0) for k in range(4)]
    return made


@pytest.fixture(scope="module")
def found():
    setup = RunsSetup(seed=0, stats=StatsSpec(), runs=runs())
    return perform(CompareFeatures(n_null=60), setup, MemoryRecorder())


def test_the_planted_permutation_is_found_exactly(found):
    pairs = found.tables["matches"].frame
    matched = {row["feature_a"]: row["feature_b"] for row in pairs.to_dict("records")}
    assert matched == {f"latent {source}": f"latent {place}" for place, source in enumerate(ORDER)}
    assert pairs["mutual"].all() and pairs["r"].min() > 0.95
    total = found.tables["matched"].frame.iloc[0]
    assert total["null_percentile"] == 100.0 and total["null_high"] < total["mean_r"] and total["n_mutual"] == N


def test_similarities_are_numpys(found):
    frame = found.tables["similarity"].frame
    row = frame[(frame["a"] == "latent 1 (aaaaaaaa)") & (frame["b"] == "latent 2 (aaaaaaaa)")].iloc[0]
    own = [influence(VECTORS[k], DRIVERS[k])["mean_delta"] for k in (1, 2)]
    assert row["r"] == pytest.approx(np.corrcoef(*own)[0, 1]) and row["n_edits"] == EDITS
    shared = frame[frame["shared_cores"].notna()]
    assert len(shared) == 1 and shared["shared_cores"].iloc[0] == 0.5


def test_drivers_are_counted_as_planted(found):
    features = found.tables["features"].frame
    mine = features[features["model"] == "aaaaaaaa"]
    assert mine["n_drivers"].tolist() == list(range(N)) and mine["n_tested"].eq(EDITS).all()
    summary = found.tables["summary"].frame.set_index("model")
    assert summary.loc["aaaaaaaa", "driven"] == pytest.approx(5 / 6)
    assert summary.loc["aaaaaaaa", "stable"] == 0.75 and np.isnan(summary.loc["bbbbbbbb", "stable"])
    factors = found.tables["factors"].frame
    first = factors[factors["model"] == "aaaaaaaa"].iloc[0]
    assert (first["factor"], first["n_driven"], first["n_tested"]) == ("token_influence_sweep: t0", 5, N)


def test_it_says_so_in_sentences_and_figures_can_be_drawn(found):
    lines = found.aggregates.custom["summary"]
    assert lines[0].startswith("Model aaaaaaaa: 83%") and any("are matched by r = " in line for line in lines)
    frames = {name: table.frame for name, table in found.tables.items()}
    for figure in found.figures:
        draw(figure, frames)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ConfigError, match="name each once"):
        CompareFeatures(edits_of=["sweep", "sweep"])
    with pytest.raises(ConfigError, match="keeps no effects on a feature"):
        CompareFeatures(edits_of=["split_half"])
    setup = RunsSetup(seed=0, stats=StatsSpec(), runs=[one("a", 0, "split_half", passed=True)])
    with pytest.raises(ExperimentError, match="no finished run of"):
        perform(CompareFeatures(), setup, MemoryRecorder())


def test_features_whose_edits_are_not_tested_are_not_said_to_be_driven_by_none():
    known = influence(VECTORS[0], []).assign(p_adj=np.nan, ci_adj_low=np.nan, ci_adj_high=np.nan, ci_method=NO_SAMPLE)
    made = [one("aaaaaaaa1", k, "token_influence_sweep", {"influence": known}) for k in range(2)]
    result = perform(CompareFeatures(n_null=19), RunsSetup(seed=0, stats=StatsSpec(), runs=made), MemoryRecorder())
    assert result.tables["summary"].frame[["driven", "mean_drivers"]].isna().all(axis=None)
    assert result.aggregates.custom["summary"][0] == "Model aaaaaaaa: no edit of its 2 features was tested (summary)."
    assert not any(name.startswith("driven") for name in result.metrics)


def test_only_effects_on_the_feature_itself_make_its_vector():
    rows = pd.DataFrame({"level": ["latent 1 to zero"], "mean_delta": 1.0, "p_adj": 0.9, "p_method": "exact"})
    rows = rows.assign(ci_low=-1.0, ci_high=2.0, ci_adj_low=-1.0, ci_adj_high=2.0, ci_method="bootstrap_t")
    made = {
        "its own": {"experiment.latents": "[1]", "experiment.readout": "auto"},
        "another readout": {"experiment.latents": "[1]", "experiment.readout": "loss"},
        "set itself": {"experiment.latents": "[]", "experiment.readout": "auto"},
    }
    some = [
        replace(one("aaaaaaaa1", k, "latent_intervention", {"latents": rows}), params=params)
        for k, params in enumerate(made.values())
    ]
    seen = gathered(some, ["latent_intervention"], 0.05)
    assert [(each.feature, list(each.effects)) for each in seen] == [
        ("latent 0", ["latent_intervention: latent 1 to zero"])
    ]


EDITED = {
    "latent_intervention": ("latents", {"experiment.place": "h", "experiment.latents": "[1]"}, {}, "h part 1"),
    "head_ablation": ("heads", {"experiment.place": "auto", "experiment.ablations": "[zero]"}, {}, "auto part 1 zero"),
    "ablate": ("effects", {"experiment.factor.ids": "[]", "experiment.factor.ablation": "mean"},
               {"factor": "units of h"}, "units of h mean part 1"),
    "sweep": ("effects", {"experiment.factor.method": "given"}, {"factor": "given direction at h"},
              "given direction at h part 1"),
}  # fmt: skip


def edited(model, feature, kind, params, aggregates, table, value=1.0):
    rows = pd.DataFrame({"level": ["part 1", "strongest 2"], "k": [1, 2], "ablation": "zero", "mean_delta": value})
    rows = rows.assign(p_adj=0.9, p_method="exact", ci_method="bootstrap_t")
    rows = rows.assign(ci_low=-1.0, ci_high=2.0, ci_adj_low=-1.0, ci_adj_high=2.0)
    return replace(one(model, feature, kind, {table: rows}, **aggregates), params=params)


@pytest.mark.parametrize("kind", EDITED)
def test_edits_of_parts_of_a_network_are_not_common_to_two_models(kind):
    """Unit 1 of another network is another unit: that setting it does the same is no likeness."""
    table, params, aggregates, name = EDITED[kind]
    some = [edited(model, k, kind, params, aggregates, table) for model in ("aaaaaaaa1", "bbbbbbbb2") for k in (2, 3)]
    seen = gathered([*some, *runs()], [kind, "token_influence_sweep"], 0.05)
    by_model = {model: {edit for each in seen if each.model == model for edit in each.effects}
                for model in ("aaaaaaaa", "bbbbbbbb")}  # fmt: skip
    assert by_model["aaaaaaaa"] - by_model["bbbbbbbb"] == {f"{kind}: {name} of aaaaaaaa"}, "nor are the strongest two"
    assert len(by_model["aaaaaaaa"] & by_model["bbbbbbbb"]) == EDITS
    alone = gathered(some[:2], [kind], 0.05)
    assert [set(each.effects) for each in alone] == [{f"{kind}: {name}"}] * 2


def test_levels_of_other_factors_are_other_edits_and_what_was_measured_again_is_said():
    """12 AP of one ability is not 12 AP of another; before, the second took the place of the first."""
    made = [
        replace(edited("aaaaaaaa1", k, "sweep", {"experiment.factor.family": family}, {"factor": family}, "effects",
                       value), run_id=f"{k}{day}", identity=f"{k}{day}", started_at=f"2026-01-0{day}")
        for k in (0, 1) for day, family, value in ((3, "quick_respawn", 3.0), (1, "swim_speed_up", 1.0),
                                                   (2, "quick_respawn", 2.0))
    ]  # fmt: skip
    seen = gathered(made, ["sweep"], 0.05)
    assert [each.effects for each in seen] == [
        {"sweep: swim_speed_up part 1": 1.0, "sweep: quick_respawn part 1": 3.0}
    ] * 2
    setup = RunsSetup(seed=0, stats=StatsSpec(), runs=made)
    result = perform(CompareFeatures(edits_of=["sweep"], n_null=0), setup, MemoryRecorder())
    said = "sweep: quick_respawn part 1: measured by several runs of one feature; the latest counts"
    assert any(line.startswith(said) for line in result.diagnostics.warnings)


def tracked(pairs, way="activation", models=("aaaaaaaa1", "bbbbbbbb2")):
    """Return a run of match_features that says which latents are the same."""
    rows = [{"way": way, "feature": a, "partner": b, "similarity": 0.9, "established": "established", "mutual": True}
            for a, b in pairs]  # fmt: skip
    made = one(models[0], "", "match_features", {"matches": pd.DataFrame(rows)})
    return replace(made, tags={"beside_run": models[1]})


@pytest.mark.parametrize("way", ["activation", "decoder"])
def test_effects_of_latents_that_were_matched_elsewhere_are_compared(way):
    where = {int(source): place for place, source in enumerate(ORDER)}
    found = perform(
        CompareFeatures(n_null=60, match_by=way),
        RunsSetup(seed=0, stats=StatsSpec(), runs=[*runs(), tracked([*where.items(), (77, 3)], way)]),
        MemoryRecorder(),
    )
    frame = found.tables["matches"].frame
    assert len(frame) == N, "a latent that no battery looked at is left out"
    for row in frame.itertuples():
        a, b = (int(one.split()[1]) for one in (row.feature_a, row.feature_b))
        assert where[a] == b and row.r > 0.95 and row.similarity == 0.9 and row.established == "established"
        assert row.shared_drivers == 1.0 or (np.isnan(row.shared_drivers) and not DRIVERS[a])
    total = found.tables["matched"].frame.iloc[0]
    assert total["n"] == N and total["null_percentile"] == 100.0 and total["mean_r"] == pytest.approx(frame["r"].mean())
    assert total["null_low"] < total["null_high"] < total["mean_r"]


def test_unrelated_latents_that_were_matched_elsewhere_are_like_random_pairs():
    beyond = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        made = [
            one(model, k, "token_influence_sweep", {"influence": influence(rng.normal(0, 1, EDITS), [])})
            for model in ("aaaaaaaa1", "bbbbbbbb2") for k in range(N)
        ]  # fmt: skip
        pairs = list(enumerate(rng.permutation(N).tolist()))
        setup = RunsSetup(seed=seed, stats=StatsSpec(), runs=[*made, tracked(pairs)])
        frame = perform(CompareFeatures(n_null=80, match_by="activation"), setup, MemoryRecorder()).tables["matched"]
        beyond += float(frame.frame["null_percentile"].iloc[0]) > 97.5
    assert beyond <= 2, "2.5 % expected"


def test_a_pair_that_was_matched_twice_counts_once():
    pairs = [(int(ORDER[feature]), feature) for feature in range(N)]
    back = tracked([(b, a) for a, b in pairs], models=("bbbbbbbb2", "aaaaaaaa1"))
    made = [replace(tracked(pairs), run_id="first", identity="1", started_at="2026-01-01"),
            replace(back, run_id="second", identity="2", started_at="2026-01-02")]  # fmt: skip
    setup = RunsSetup(seed=0, stats=StatsSpec(), runs=[*runs(), *made])
    result = perform(CompareFeatures(n_null=9, match_by="activation"), setup, MemoryRecorder())
    assert len(result.tables["matched"].frame) == 1 and len(result.tables["matches"].frame) == N
    assert set(result.tables["matches"].frame["model_a"]) == {"bbbbbbbb"}, "the latest"
    (line,) = [line for line in result.diagnostics.warnings if "match_features" in line]
    assert line.startswith("2 runs of match_features are about bbbbbbbb and aaaaaaaa: the latest, second, was read")


def test_a_model_that_was_matched_with_itself_is_no_pair_of_models():
    """Its effects are equal by construction: a row of r = 1 beside those of two models."""
    pairs = [(int(ORDER[feature]), feature) for feature in range(N)]
    alone = replace(tracked([(k, k) for k in range(N)], models=("aaaaaaaa1", "aaaaaaaa1")), run_id="self", identity="3")
    made = [replace(tracked(pairs), run_id="first", identity="1"), alone]
    setup = RunsSetup(seed=0, stats=StatsSpec(), runs=[*runs(), *made])
    frame = perform(CompareFeatures(n_null=9, match_by="activation"), setup, MemoryRecorder()).tables["matched"].frame
    assert list(zip(frame["model_a"], frame["model_b"], strict=True)) == [("aaaaaaaa", "bbbbbbbb")]


def test_matches_must_have_been_made():
    setup = RunsSetup(seed=0, stats=StatsSpec(), runs=[*runs(), tracked([(0, 0)], models=("aaaaaaaa1", "cccccccc3"))])
    with pytest.raises(ExperimentError, match="match_by=decoder takes the matches of a finished run of match_features"):
        perform(CompareFeatures(match_by="decoder"), setup, MemoryRecorder())


def test_over_models_of_one_condition_the_numbers_are_numpys():
    shares, made = [1 / 6, 3 / 6, 4 / 6, 5 / 6], []
    for place, share in enumerate(shares):
        for k in range(N):
            table = influence(VECTORS[k], [0] if k < round(share * N) else [])
            each = one(f"{'abcd'[place]}" * 9, k, "token_influence_sweep", {"influence": table})
            made.append(replace(each, condition="standard"))
    found = perform(CompareFeatures(n_null=0), RunsSetup(seed=0, stats=StatsSpec(), runs=made), MemoryRecorder())
    over = found.tables["over_models"].frame.set_index("quantity")
    driven = over.loc["share of features with an established driver"]
    assert driven["n_models"] == 4 and driven["mean"] == pytest.approx(np.mean(shares))
    assert driven["sd"] == pytest.approx(np.std(shares, ddof=1)) and driven["ci_low"] < np.mean(shares)
    profile = over.loc["correlation with the other models of how many features each factor drives"]
    assert profile["mean"] == pytest.approx(1.0) and np.isnan(profile["ci_low"]), "one factor drives in every model"
    factors = found.tables["factors_over_models"].frame.iloc[0]
    assert factors["factor"] == "token_influence_sweep: t0" and factors["n_driving"] == 4
    assert (factors["lowest"], factors["highest"]) == pytest.approx((shares[0], shares[-1]))
    assert any(line.startswith("Over 4 models of standard 54%") for line in found.aggregates.custom["summary"])


def test_what_moves_two_features_in_opposite_ways_is_not_called_alike():
    made = [one("aaaaaaaa1", k, "token_influence_sweep", {"influence": influence(sign * VECTORS[0], [])})
            for k, sign in enumerate((1.0, -1.0))]  # fmt: skip
    setup = RunsSetup(seed=0, stats=StatsSpec(), runs=made)
    said = perform(CompareFeatures(n_null=0), setup, MemoryRecorder()).aggregates.custom["summary"]
    assert said[-1] == "Most opposed are latent 0 and latent 1, r = -1.00 (similarity)."


def test_the_factor_that_drives_the_most_is_said_of_its_model_with_those_that_drive_as_many(found):
    (line,) = (line for line in found.aggregates.custom["summary"] if "drives the most" in line)
    assert line.endswith(f"t0 drives the most: {N - 1} of {N} features of aaaaaaaa, as does 1 more (factors).")
