"""The generic experiments on builds, on the planted model whose truths are known."""

from __future__ import annotations

import pytest

from paribus.config.compose import jobs
from paribus.errors import ConfigError, DataError
from paribus.experiments.any.ablate.spec import Ablate
from paribus.experiments.any.cores.spec import Cores
from paribus.experiments.any.grid.spec import Grid
from paribus.experiments.any.interact.spec import Interact
from paribus.experiments.any.patch.spec import Patch
from paribus.experiments.any.probe.spec import Probe
from paribus.experiments.any.swap.spec import Swap
from paribus.experiments.any.sweep.spec import Sweep
from paribus.experiments.builds.any_network import network_setup
from paribus.experiments.builds.loading import build_setup
from paribus.factors import spec as factors
from paribus.running.validate import validate
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.factors import Families, Family, Weapon
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.planted_feature import PlantedFeature

from .conftest import QUICK, performed


@pytest.fixture(scope="module")
def corpus():
    return BuildsGenerated(n_builds=120).load()


@pytest.fixture
def setup(corpus):
    def make(feature):
        stats = StatsSpec(**QUICK)
        found = build_setup(data=corpus, model=Planted(), feature=PlantedFeature(feature), seed=0, stats=stats)
        return network_setup(found)

    return make


def test_a_sweep_finds_the_dose_and_places_it_among_like_features(setup):
    experiment = Sweep(factor=Family(family="swim_speed_up", rungs=[3, 12, 29]), n_contexts=200)
    result, frame = performed(experiment, setup("dose"))
    assert frame["established"].all() and frame["mean_delta"].is_monotonic_increasing
    assert (frame["null"] == "like features").all() and frame["null_percentile"].between(90, 100).all()
    assert result.tables["effects"].frame["readout"].iloc[0] == "dose"
    other, still = performed(Sweep(factor=Family(family="sub_power_up", rungs=[12])), setup("dose"))
    assert (still["mean_delta"] == 0).all() and not still["established"].any()


def test_pairs_and_cores_of_a_conjunction(setup):
    units = Families(families=["quick_respawn", "special_saver", "run_speed_up"])
    _, pairs = performed(Interact(factor=units, n_units=3), setup("and"))
    found = pairs.set_index("level")["mean_delta"]
    assert found["quick_respawn x special_saver"] > 0
    assert (found.drop("quick_respawn x special_saver") == 0).all()
    result, _ = performed(Cores(factor=units, n_units=3), setup("and"))
    named = result.tables["cores"].frame.query("named")["core"].tolist()
    assert named == ["quick_respawn + special_saver"]


@pytest.mark.parametrize(
    "experiment",
    [
        Grid(factor=Family(family="swim_speed_up", rungs=[3]), other=Family(family="run_speed_up", rungs=[3, 12])),
        Swap(factor=Weapon(most=3), n_contexts=60),
        Ablate(factor=Families(families=["swim_speed_up", "run_speed_up"]), ks=[2], n_contexts=60),
        Ablate(factor=factors.Units(ids=[0, 1]), place="output_layer.input", ks=[], n_contexts=60),
        Patch(factor=factors.Patch(donors="any"), place="output_layer.input", n_donors=2, n_contexts=60),
        Sweep(factor=factors.Latent(id=0), n_contexts=60),
    ],
    ids=lambda one: one.type,
)
def test_every_other_type_runs(setup, experiment, rules):
    result, _ = performed(experiment, setup("dose"))
    assert [line for table in result.tables.values() for line in rules.problems(table)] == []
    assert result.figures and result.aggregates.n_samples


def test_what_builds_do_not_have_is_refused_by_name(setup):
    with pytest.raises(ConfigError, match="no family 'swim_sped_up'|did you mean"):
        Sweep(factor=Family(family="swim_sped_up")).validate(setup("dose"))
    with pytest.raises(ConfigError, match="has no rung 4; did you mean|has no rung 4; valid"):
        Sweep(factor=Family(rungs=[4])).validate(setup("dose"))
    with pytest.raises(Exception, match="these builds have no label"):
        Probe(place="output_layer.input").validate(setup("dose"))


BUILDS = ["data=builds_generated", "data.n_builds=60", "slice=all", "constraints=legal", "model=planted"]
FAMILIES = ["factor@experiment.factor=families"]


def test_a_type_that_may_lack_a_feature_needs_none_on_builds_either():
    validate(jobs(["experiment=ablate", *BUILDS, *FAMILIES, "tracking=off"])[0])
    with pytest.raises(ConfigError, match="nothing"):
        validate(jobs(["experiment=ablate", *BUILDS, *FAMILIES, "tracking=off", "slice.family_filter=[nothing]"])[0])


def test_a_target_on_builds_is_refused_on_other_data_in_a_sentence():
    words = ["experiment=split_half", "data=digits_scanners", "feature=dose", "experiment.target.family=SSU"]
    with pytest.raises(DataError, match="digits_scanners gives images, but split_half works on builds here"):
        validate(jobs([*words, "tracking=off"])[0])


def test_a_slope_that_no_context_can_have_is_said_before_anything_runs_and_in_the_result(setup, caplog):
    experiment = Sweep(factor=Family(family="swim_speed_up", rungs=[3, 57]), n_contexts=60)
    experiment.validate(setup("dose"))
    assert "the table slope will be empty" in caplog.text
    result, frame = performed(experiment, setup("dose"))
    assert frame["n"].iloc[0] > 0
    assert "No context is legal at every dose of swim_speed_up" in " ".join(result.diagnostics.warnings)
    caplog.clear()
    Sweep(factor=Family(family="swim_speed_up", rungs=[3, 12]), n_contexts=60).validate(setup("dose"))
    assert not caplog.text
