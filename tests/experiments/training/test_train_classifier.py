from __future__ import annotations

from dataclasses import replace

import pytest

from paribus import seeds
from paribus.errors import ConfigError, ExperimentError
from paribus.experiments.base import perform
from paribus.experiments.checkpoints import Checkpoints
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup_labelled import LabelledSetup
from paribus.experiments.training.train_classifier.spec import TrainClassifier
from paribus.experiments.training.train_classifier.work import HISTORY_COLUMNS
from paribus.figures.draw import draw
from paribus.models.loading import fit_state
from paribus.models.small_cnn import SmallCNN
from paribus.results.evidence import Evidence
from paribus.stats.spec import StatsSpec
from paribus.subjects.images.digits_scanners import DigitsScanners
from paribus.training.spec import TrainingSpec

TRAINING = TrainingSpec(condition="grokking", epochs=6, n_evaluations=4, n_checkpoints=2, init_scale=2.0, grokfast=True)


def setup(training=TRAINING, norm="none"):
    architecture = SmallCNN(width=4, norm=norm)
    model = architecture.build(in_channels=3, n_classes=2, image_size=16, generator=seeds.torch_rng(0, "model"))
    data = DigitsScanners(n_train=96, n_eval=24, eval_renderings=1).load()
    return LabelledSetup(
        seed=5, stats=StatsSpec(), data=data, model=model, architecture=architecture, training=training
    )


@pytest.fixture(scope="module")
def run():
    recorder = MemoryRecorder()
    return perform(TrainClassifier(), setup(), recorder), recorder


def test_the_summary_is_what_comparisons_read(run):
    result, _ = run
    custom = result.aggregates.custom
    assert {
        "training",
        "n_train",
        "seed",
        "best_ood",
        "peak_ood_epoch",
        "best_val",
        "peak_val_epoch",
        "final_ood",
    } <= set(custom)
    assert (custom["training"], custom["n_train"], custom["seed"]) == ("grokking", 96, 5)
    history = result.tables["history"].frame
    assert custom["best_ood"] == history["ood_acc"].max()
    assert custom["best_val"] == history["val_acc"].max()
    assert custom["final_ood"] == history["ood_acc"].iloc[-1]
    assert result.metrics["best_ood"] == custom["best_ood"]
    assert history.set_index("epoch")["val_acc"][custom["peak_val_epoch"]] == custom["best_val"]


def test_the_history_has_a_row_per_evaluation(run):
    result, _ = run
    table = result.tables["history"]
    assert list(table.frame.columns) == list(HISTORY_COLUMNS)
    assert table.frame["epoch"].tolist() == [1, 2, 3, 6]
    assert all(table.evidence is Evidence.TRAINING for table in result.tables.values())


def test_checkpoints_are_published_and_indexed(run):
    result, recorder = run
    frame = result.tables["checkpoints"].frame
    assert recorder.workspace.published == frame["checkpoint"].tolist()
    assert "resume" not in recorder.workspace.published
    for _, row in frame.iterrows():
        assert recorder.workspace.load(row["checkpoint"])["epoch"] == row["epoch"]
    custom = result.aggregates.custom
    assert frame.loc[frame["peak_val"], "epoch"].tolist() == [custom["peak_val_epoch"]]
    assert frame.loc[frame["peak_ood"], "epoch"].tolist() == [custom["peak_ood_epoch"]]
    assert frame.loc[frame["final"], "epoch"].tolist() == [6]


def test_other_experiments_can_choose_among_the_checkpoints(run):
    result, recorder = run
    index = Checkpoints(
        loader=lambda epoch: recorder.workspace.load(f"checkpoint_e{epoch:05d}")["model"],
        epochs=tuple(result.tables["checkpoints"].frame["epoch"]),
        history=result.tables["history"].frame,
        key="trained",
    )
    assert index.select("peak_val")[0].epoch == result.aggregates.custom["peak_val_epoch"]
    assert index.select("peak_ood")[0].epoch == result.aggregates.custom["peak_ood_epoch"]
    model = setup().model
    for checkpoint in index.select("all"):
        fit_state(model, dict(checkpoint.load()))
        assert all(value.equal(checkpoint.load()[name]) for name, value in model.state_dict().items())


def test_it_says_which_weights_the_init_scale_touches(run):
    result, _ = run
    frame = result.tables["init_scale"].frame
    assert frame["name"].tolist() == ["layer1.0.weight", "layer2.0.weight", "layer3.0.weight", "fc.weight"]
    assert set(frame["factor"]) == {2.0}
    assert not frame["before_norm"].any()
    assert not result.diagnostics.warnings


def test_it_warns_where_the_init_scale_comes_before_a_norm():
    recorder = MemoryRecorder()
    perform(TrainClassifier(), setup(norm="batch"), recorder)
    assert any("3 of 4 scaled weights come before a normalisation" in w for w in recorder.diagnostics.warnings)


def test_figures_can_be_drawn(run):
    result, _ = run
    assert len(result.figures) == 2
    for figure in result.figures:
        draw(figure, {name: table.frame for name, table in result.tables.items()})


def test_a_failed_training_keeps_its_history():
    recorder = MemoryRecorder()
    experiment, broken = TrainClassifier(), setup(replace(TRAINING, init_scale=1.0, epochs=8, n_evaluations=8))
    steps = 0

    def poison(module, args, output):
        nonlocal steps
        steps += module.training
        return output * float("nan") if steps > 12 else output

    broken.model.register_forward_hook(poison)
    with pytest.raises(ExperimentError, match="loss became nan in epoch 5"):
        experiment.run(broken, recorder)
    assert recorder.tables["history"].frame["epoch"].tolist() == [1, 2, 3, 4]


def test_it_goes_on_where_it_was_interrupted_and_says_so():
    workspace = MemoryRecorder().workspace
    whole = MemoryRecorder()
    reference = perform(TrainClassifier(), setup(), whole)

    class Interrupted(MemoryRecorder):
        def progress(self, items, *, total=None, description=""):
            yield from list(items)[:4]
            raise KeyboardInterrupt

    interrupted = Interrupted(workspace=workspace)
    with pytest.raises(KeyboardInterrupt):
        TrainClassifier().run(setup(), interrupted)
    assert interrupted.tables["history"].frame["epoch"].tolist() == [1, 2, 3]
    again = MemoryRecorder(workspace=workspace)
    result = perform(TrainClassifier(), setup(), again)
    assert result.tables["history"].frame.equals(reference.tables["history"].frame)
    assert any("taken up again after epoch 3" in warning for warning in result.diagnostics.warnings)


def test_half_precision_on_the_cpu_is_said_to_have_no_effect():
    recorder = MemoryRecorder()
    TrainClassifier().run(setup(replace(TRAINING, epochs=1, mixed_precision=True)), recorder)
    assert any("mixed_precision has no effect" in warning for warning in recorder.diagnostics.warnings)


def test_a_setup_without_training_is_refused():
    with pytest.raises(ConfigError, match="training=standard"):
        TrainClassifier().run(setup(training=None), MemoryRecorder())
