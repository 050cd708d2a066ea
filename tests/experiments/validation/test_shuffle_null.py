"""`shuffle_null` on planted features: what is planted stands out of the null, nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.errors import ConfigError
from paribus.experiments.builds.binary_presence_effect import BinaryPresenceEffect
from paribus.experiments.builds.decoder_output_analysis import DecoderOutputAnalysis
from paribus.experiments.builds.family_1d_sweep import Family1dSweep
from paribus.experiments.builds.token_influence_sweep import TokenInfluenceSweep
from paribus.experiments.validation._validated import shuffled
from paribus.experiments.validation.shuffle_null import ShuffleNull
from paribus.results.evidence import Evidence

QUICK = {"n_builds": 150, "stats": {"n_bootstrap": 100, "n_permutations": 99, "n_null": 0}}


@pytest.mark.parametrize("statistic", ["rms", "max_abs"])
def test_the_planted_suppressor_stands_out_alone(planted_run, statistic):
    result, _ = planted_run(ShuffleNull(target=BinaryPresenceEffect(), statistic=statistic), "suppression", **QUICK)
    custom = result.aggregates.custom
    assert custom["passed"]
    assert custom["p"] <= 0.01
    entries = result.tables["entries"].frame.set_index("entry")
    far = entries.index[entries["p_adj"] <= 0.05]
    assert far.str.contains("ninja_squid").any()
    assert (entries.loc[~entries.index.isin(far), "p_adj"] > 0.05).all()
    assert result.evidence is Evidence.INTERVENTIONAL


def test_the_null_feature_gives_p_one_everywhere(planted_run):
    result, _ = planted_run(ShuffleNull(target=Family1dSweep(family="SSU"), n_shuffles=99), "null", **QUICK)
    entries = result.tables["entries"].frame
    assert (entries[["p", "p_adj"]] == 1).all(axis=None)
    assert (entries["effect"] == 0).all()
    assert (result.tables["statistics"].frame[["p", "p_adj"]] == 1).all(axis=None)
    assert not result.aggregates.custom["passed"]


def test_an_observational_target_is_judged_by_shuffled_activations(planted_run):
    target = TokenInfluenceSweep(unit="family", high_quantile=0.9)
    result, _ = planted_run(ShuffleNull(target=target, n_shuffles=59), "dose", **QUICK)
    assert result.evidence is Evidence.OBSERVATIONAL
    assert result.aggregates.custom["passed"]
    assert result.aggregates.custom["entries_beyond_null"] == ["swim_speed_up"]
    still, _ = planted_run(ShuffleNull(target=target, n_shuffles=59), "source", **QUICK)
    assert not still.aggregates.custom["passed"]
    assert still.aggregates.custom["entries_beyond_null"] == []


def test_shuffles_move_whole_builds_within_the_slice(planted_run):
    from paribus.subjects.builds.slices import SliceSpec

    _, setup = planted_run(
        Family1dSweep(family="SSU", placebo_contexts=0), "dose", slicing=SliceSpec(sample_size=120), **QUICK
    )
    inside = np.zeros(len(setup.corpus.contexts), bool)
    inside[setup.chosen] = True
    real = setup.corpus_measured.f
    moved = 0
    for each in shuffled(setup, 3, "test"):
        f = each.corpus_measured.f
        np.testing.assert_array_equal(f[~inside], real[~inside])
        np.testing.assert_array_equal(np.sort(f), np.sort(real))
        moved += int((f != real).sum())
        profiles = {tuple(real[setup.chosen][setup.cluster == c]) for c in np.unique(setup.cluster)}
        assert all(tuple(each.observed.f[setup.cluster == c]) in profiles for c in np.unique(setup.cluster))
    assert moved > 100


def test_wrong_targets_and_small_vectors_are_refused(planted_run):
    with pytest.raises(ConfigError, match="decoder_output_analysis declares no effect vector"):
        ShuffleNull(target=DecoderOutputAnalysis())
    with pytest.raises(ConfigError, match="2 usable entries"):
        planted_run(ShuffleNull(target=Family1dSweep(family="SSU", rungs=[3, 6])), "dose", **QUICK)
