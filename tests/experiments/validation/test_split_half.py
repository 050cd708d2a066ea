"""`split_half` on planted features: real effects are reproduced, noise and base rates are not."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.config.check import build
from paribus.config.compose import jobs
from paribus.errors import ConfigError
from paribus.experiments.builds.binary_presence_effect import BinaryPresenceEffect
from paribus.experiments.builds.conditional_interactions import ConditionalInteractions
from paribus.experiments.builds.core_coverage_analysis import CoreCoverageAnalysis
from paribus.experiments.builds.decoder_output_analysis import DecoderOutputAnalysis
from paribus.experiments.builds.family_1d_sweep import Family1dSweep
from paribus.experiments.builds.family_2d_heatmap import Family2dHeatmap
from paribus.experiments.builds.frequent_itemsets import FrequentItemsets
from paribus.experiments.builds.interaction_experiment import InteractionExperiment
from paribus.experiments.builds.kit_sweep import KitSweep
from paribus.experiments.builds.loading import build_setup
from paribus.experiments.builds.minimal_cores import MinimalCores
from paribus.experiments.builds.pairwise_interactions import PairwiseInteractions
from paribus.experiments.builds.token_influence_sweep import TokenInfluenceSweep
from paribus.experiments.builds.weapon_group_analysis import WeaponGroupAnalysis
from paribus.experiments.builds.weapon_sweep import WeaponSweep
from paribus.experiments.builds.within_family_interference import WithinFamilyInterference
from paribus.experiments.effect_vector import LEAST_TESTED
from paribus.experiments.validation.shuffle_null import ShuffleNull
from paribus.experiments.validation.split_half import SplitHalf
from paribus.results.evidence import Evidence
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.planted_feature import PlantedFeature

QUICK = {"n_builds": 150, "stats": {"n_bootstrap": 100, "n_permutations": 99, "n_null": 0}}


def test_a_dose_is_found_again_in_every_half(planted_run):
    result, _ = planted_run(SplitHalf(target=Family1dSweep(family="SSU"), n_splits=30), "dose", **QUICK)
    custom = result.aggregates.custom
    assert custom["mean_r"] == pytest.approx(1.0, abs=1e-6)
    assert custom["spearman_brown"] == pytest.approx(1.0, abs=1e-6)
    assert custom["passed"]
    assert result.evidence is Evidence.INTERVENTIONAL
    table = result.tables["split_correlations"].frame
    assert table["kind"].value_counts().to_dict() == {"null": 199, "observed": 30}


@pytest.fixture(scope="module")
def small():
    return build_setup(
        data=BuildsGenerated(n_builds=40, seed=3).load(), model=Planted(), seed=0, feature=PlantedFeature(name="dose"),
        stats=StatsSpec(**QUICK["stats"]),
    )  # fmt: skip


KNOWN = [
    Family1dSweep(family="SSU"),
    Family2dHeatmap(family_x="SSU", family_y="QR", rungs_x=[3, 6], rungs_y=[3, 6, 12]),
    BinaryPresenceEffect(),
    WithinFamilyInterference(families=["SSU", "QR"]),
    PairwiseInteractions(candidates=["SSU", "QR", "SCU"]),
    ConditionalInteractions(modulator="SCU", candidates=["SSU", "QR"]),
    CoreCoverageAnalysis(unit="family"),
    TokenInfluenceSweep(unit="family", high_quantile=0.8),
    WeaponGroupAnalysis(min_examples=2),
    WeaponSweep(swap_contexts=35),
    KitSweep(swap_contexts=35),
    MinimalCores(),
    FrequentItemsets(min_support=0.2, max_size=2),
]


@pytest.mark.parametrize("target", KNOWN, ids=lambda target: target.type)
def test_entries_that_are_known_before_anything_is_measured_are_those_that_are_measured(target, small):
    vector, most = target.effect_vector(small), target.most_entries(small)
    assert target.vector_is_paired == (vector.differences is not None)
    if vector.differences is None:
        assert most == len(vector.values)
        return
    supported = (~np.isnan(vector.differences)).sum(1)
    chosen = isinstance(target, InteractionExperiment)  # what is legal depends on the candidates, and these on effects
    assert most == (len(supported) if chosen else (supported >= LEAST_TESTED).sum())
    assert supported.max() <= target.most_contexts(small)


@pytest.mark.parametrize("target", [KNOWN[4], Family1dSweep(family="SSU", rungs=[3, 6])], ids=lambda one: one.type)
@pytest.mark.parametrize("kind", [SplitHalf, ShuffleNull])
def test_too_few_known_entries_are_refused_at_dry_run(kind, target, small):
    with pytest.raises(ConfigError, match=rf"{target.type} has [023] entries that can be judged"):
        kind(target=target).validate(small)


def test_a_family_that_does_nothing_is_not_validated(planted_run):
    result, _ = planted_run(SplitHalf(target=Family1dSweep(family="QR"), n_splits=10), "dose", **QUICK)
    custom = result.aggregates.custom
    assert not custom["passed"]
    assert custom["p"] == 1
    assert custom["spearman_brown"] is None
    assert any("all equal" in warning for warning in result.diagnostics.warnings)


def test_observational_targets_are_recomputed_and_tested_against_shuffled_activations(planted_run):
    target = TokenInfluenceSweep(unit="family", high_quantile=0.9)
    experiment = SplitHalf(target=target, n_splits=10, n_shuffles=39, shuffle_splits=2)
    result, _ = planted_run(experiment, "dose", **QUICK)
    custom = result.aggregates.custom
    assert custom["passed"]
    assert custom["null_mean_r"] < custom["tested_r"]
    assert custom["null"] == "activations shuffled among source builds"
    assert result.evidence is Evidence.OBSERVATIONAL
    assert all(table.evidence is Evidence.OBSERVATIONAL for table in result.tables.values())


def test_log_odds_of_a_feature_that_no_token_moves_do_not_pass_but_by_chance(planted_run):
    target = TokenInfluenceSweep(unit="family", high_quantile=0.9)
    experiment = SplitHalf(target=target, n_splits=10, n_shuffles=39, shuffle_splits=1)
    small = QUICK | {"n_builds": 60}
    p = [planted_run(experiment, "source", seed=seed, **small)[0].aggregates.custom["p"] for seed in range(6)]
    assert sum(each <= 0.05 for each in p) <= 1
    assert max(p) > 0.3  # nor is everything refused


def test_fewer_than_six_entries_are_refused(planted_run):
    with pytest.raises(ConfigError, match="has 3 usable entries .* at least 6 are needed"):
        planted_run(SplitHalf(target=Family1dSweep(family="SSU", rungs=[3, 6, 12])), "dose", **QUICK)


def test_targets_without_an_effect_vector_are_refused_and_the_others_named():
    with pytest.raises(ConfigError, match="decoder_output_analysis declares no effect vector.*family_1d_sweep") as told:
        SplitHalf(target=DecoderOutputAnalysis())
    assert "decoder_output_analysis" not in str(told.value).split("valid:")[1]
    with pytest.raises(ConfigError, match="split_half declares no effect vector"):
        SplitHalf(target=SplitHalf(target=BinaryPresenceEffect()))
    with pytest.raises(ConfigError, match="NoneType declares no effect vector"):
        SplitHalf(target=None)


def test_too_few_builds_are_refused(planted_run):
    with pytest.raises(ConfigError, match="source builds are too few"):
        planted_run(SplitHalf(target=Family1dSweep(family="SSU")), "dose", **(QUICK | {"n_builds": 10}))


def test_the_target_is_chosen_and_checked_like_any_experiment():
    words = ["experiment=split_half", "experiment@experiment.target=family_1d_sweep", "feature=dose"]
    (job,) = jobs([*words, "experiment.target.family=SSU", "experiment.target.include_absent=false"])
    assert job.experiment.target == Family1dSweep(family="SSU", include_absent=False)
    with pytest.raises(ConfigError, match="experiment.target.family: a value is needed"):
        jobs(words)
    with pytest.raises(ConfigError, match="experiment.target.famly: unknown key; did you mean 'family'"):
        jobs([*words, "experiment.target.family=SSU", "+experiment.target.famly=QR"])
    with pytest.raises(ConfigError, match="experiment.target.*declares no effect vector"):
        jobs([words[0], "experiment@experiment.target=decoder_output_analysis", "feature=dose"])


def test_names_of_the_target_are_looked_up_before_anything_runs(planted_run):
    _, setup = planted_run(BinaryPresenceEffect(abilities=["comeback"]), "null", **(QUICK | {"n_builds": 30}))
    with pytest.raises(ConfigError, match="35"):
        SplitHalf(target=Family1dSweep(family="SSU", rungs=[3, 35])).validate(setup)


def test_a_new_version_of_the_target_is_a_new_version_of_its_validation(monkeypatch):
    before = SplitHalf(target=Family1dSweep(family="SSU")).version
    monkeypatch.setattr(Family1dSweep, "version", Family1dSweep.version + 1)
    assert SplitHalf(target=Family1dSweep(family="SSU")).version == before + 1
    node = {
        "_target_": "paribus.experiments.validation.split_half.SplitHalf",
        "target": {"_target_": "paribus.experiments.builds.binary_presence_effect.BinaryPresenceEffect"},
    }
    assert build(node, "experiment").evidence is Evidence.INTERVENTIONAL
