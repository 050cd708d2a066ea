"""On planted features: those that read the highest token show no interference; one that reads tokens does."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.errors import ConfigError
from paribus.experiments.builds.within_family_interference import WithinFamilyInterference


@pytest.mark.parametrize("feature", ["dose", "threshold", "null"])
def test_features_of_the_capstone_show_no_interference(planted_run, feature):
    result, _ = planted_run(WithinFamilyInterference(), feature)
    frame = result.tables["interference"].frame
    measured = frame[frame["n"] > 0]
    assert len(measured) > 50
    assert (measured["mean_delta"] == 0).all()
    assert (measured.loc[measured["n"] >= 30, "p"] == 1).all()
    assert result.aggregates.custom["interference_detected"] is False


def test_with_the_family_set_first_every_context_counts(planted_run):
    result, setup = planted_run(WithinFamilyInterference(families=["SSU"], rung=12), "dose")
    frame = result.tables["interference"].frame
    assert frame["lower_rung"].tolist() == [3, 6]
    assert (frame["n"] > 0.8 * len(setup.contexts)).all()
    np.testing.assert_allclose(frame["base_activation"], 12 / 19, atol=1e-6)


def test_how_common_the_pattern_is_agrees_with_a_count(planted_run):
    result, setup = planted_run(WithinFamilyInterference(families=["SSU"]), "dose")
    states = setup.corpus.contexts.states()
    higher = setup.edits.highest_rung(states, "SSU") > 3
    without = higher & ~setup.edits.holds(states, "swim_speed_up_3")
    row = result.tables["interference"].frame.set_index("lower_rung").loc[3]
    assert row["n_pattern"] == without.sum() > 0
    assert row["pattern_share"] == pytest.approx(without.sum() / higher.sum())


def test_a_feature_that_reads_low_tokens_is_found(planted_run):
    """The random features of the planted model read single tokens; one that reads a low token must show up."""
    from paribus.experiments.base import perform
    from paribus.experiments.builds.loading import build_setup
    from paribus.experiments.recording import MemoryRecorder
    from paribus.features.latent import Latent
    from paribus.stats.spec import StatsSpec
    from paribus.subjects.builds.generated import BuildsGenerated
    from paribus.subjects.builds.models.nets.planted import PLANTED
    from paribus.subjects.builds.models.planted import Planted

    _, setup = planted_run(WithinFamilyInterference(families=["SSU"], rung=3 + 9), "dose")
    bank = setup.model.network.bank.numpy()
    low = setup.corpus.vocabulary.tokens.index("swim_speed_up_3")
    chosen = int(np.argmax(bank[low]))
    assert bank[low, chosen] > 0.3
    found = build_setup(
        data=BuildsGenerated(n_builds=250, seed=1),
        model=Planted(),
        feature=Latent(id=len(PLANTED) + chosen),
        seed=0,
        stats=StatsSpec(n_bootstrap=200, n_permutations=999, n_null=0),
    )
    result = perform(WithinFamilyInterference(families=["SSU"], rung=12), found, MemoryRecorder())
    row = result.tables["interference"].frame.set_index("lower_rung").loc[3]
    assert row["mean_delta_z"] == pytest.approx(-bank[low, chosen], abs=1e-5)
    assert row["p_adj"] < 0.01


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"families": ["comeback"]}, "main-only"), ({"rung": 3}, "no lower rung"), ({"rung": 35}, "3, 6, 12")],
)
def test_wrong_requests_are_refused(planted_run, fields, said):
    with pytest.raises(ConfigError, match=said):
        planted_run(WithinFamilyInterference(**fields), "dose")
