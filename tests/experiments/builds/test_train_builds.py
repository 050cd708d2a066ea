import numpy as np
import pytest
import torch

from paribus.errors import ConfigError
from paribus.experiments.base import perform
from paribus.experiments.builds.loading import build_setup
from paribus.experiments.builds.train_set_completion import TrainSetCompletion
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.train_sae import TrainSAE
from paribus.features.latent import Latent
from paribus.results.evidence import Evidence
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.models.set_completion import SetCompletion

CORPUS = BuildsGenerated(n_builds=200, seed=8).load()
SPEC = SetCompletion(embedding=8, hidden=16, n_layers=1, n_heads=2, n_inducing=2)
SPECIALS = [weapon.special for weapon in CORPUS.weapons.weapons]


def setup(model=SPEC, **options):
    return build_setup(data=CORPUS, model=model, seed=0, stats=StatsSpec(), **options)


def test_a_model_is_trained_and_published():
    recorder, where = MemoryRecorder(), setup()
    result = perform(TrainSetCompletion(epochs=3, batch_size=32), where, recorder)
    assert TrainSetCompletion.produces_model and result.evidence is Evidence.TRAINING
    history = result.tables["history"].frame
    assert history["epoch"].tolist() == [1, 2, 3] and history["val_loss"].iloc[-1] < history["val_loss"].iloc[0]
    (name,) = recorder.workspace.published
    assert result.tables["checkpoints"].frame["checkpoint"].tolist() == [name] == ["checkpoint_e00003"]
    again = SPEC.restore(recorder.workspace.load(name), tokens=CORPUS.vocabulary.tokens, specials=SPECIALS)
    x, _ = setup(again).vectors(CORPUS.contexts.states()[:5])
    np.testing.assert_array_equal(x, where.vectors(CORPUS.contexts.states()[:5])[0])
    assert (
        result.aggregates.custom["best_recall"] == history["recall"].max() or result.aggregates.custom["best_epoch"] < 3
    )
    assert {figure.name for figure in result.figures} == {"figure_loss", "figure_recall"}


def test_an_autoencoder_is_trained_and_published_with_its_model():
    recorder = MemoryRecorder()
    experiment = TrainSAE(n_features=24, steps=120, batch_size=64, n_evaluations=3, dead_after=40, n_vectors=800)
    result = perform(experiment, setup(), recorder)
    quality = result.tables["quality"].frame.set_index("autoencoder")
    assert set(quality.index) == {"trained", "random"}
    assert {"mse", "explained_variance", "l0", "dead_share"} <= set(quality.columns)
    history = result.tables["history"].frame
    assert history["step"].tolist() == [40, 80, 120]
    assert history["mse"].iloc[-1] < history["mse"].iloc[0]
    assert len(result.tables["features"].frame) == 24
    assert set(result.metrics) >= {"explained_variance", "random_explained_variance", "final_l0"}
    (name,) = recorder.workspace.published
    model = SPEC.restore(recorder.workspace.load(name), tokens=CORPUS.vocabulary.tokens, specials=SPECIALS)
    found = setup(model, feature=Latent(5))
    assert float(model.require_sae().clamp) == 6.0
    rate = result.tables["features"].frame["firing_rate"].iloc[5]
    assert np.isfinite(found.observed.f).all() and abs(found.instrument.moments.firing_rate[0] - rate) < 0.2


class Stop(RuntimeError):
    pass


@pytest.mark.parametrize(
    ("experiment", "rows"),
    [
        (TrainSetCompletion(epochs=4, batch_size=64), 2),
        (TrainSAE(n_features=8, steps=40, n_evaluations=4, n_vectors=300), 2),
    ],
)
def test_a_failure_leaves_its_history_and_a_second_run_goes_on(experiment, rows):
    class Failing(MemoryRecorder):
        def metric(self, name, value, step=None):
            super().metric(name, value, step)
            self.calls = getattr(self, "calls", 0) + (name in ("val_loss", "mse"))
            if self.calls == rows and not getattr(self, "calm", False):
                raise Stop

    failing = Failing()
    with pytest.raises(Stop):
        perform(experiment, setup(), failing)
    assert len(failing.tables["history"].frame) == rows
    again = MemoryRecorder(workspace=failing.workspace)
    resumed = perform(experiment, setup(), again)
    assert any("taken up again" in warning for warning in resumed.diagnostics.warnings)
    straight = perform(experiment, setup(), fresh := MemoryRecorder())
    name = fresh.workspace.published[0]
    for part in ("model", "sae"):
        kept = fresh.workspace.load(name).get(part, {})
        assert all(torch.equal(value, again.workspace.load(name)[part][key]) for key, value in kept.items())
    assert resumed.tables["history"].frame.equals(straight.tables["history"].frame)


def test_models_that_learn_nothing_are_refused():
    for experiment in (TrainSetCompletion(epochs=1), TrainSAE()):
        with pytest.raises(ConfigError, match="model=planted is not trained"):
            perform(experiment, setup(Planted()), MemoryRecorder())
    with pytest.raises(ConfigError, match="at most steps"):
        TrainSAE(steps=3, n_evaluations=4)
