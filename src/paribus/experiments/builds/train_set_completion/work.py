"""Trains the set model, and publishes its weights."""

from __future__ import annotations

import dataclasses

from paribus.errors import DataError
from paribus.experiments.base import Recorder
from paribus.experiments.builds import _set_training as shared
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.builds.train_set_completion.loop import SetCompletionLoop
from paribus.experiments.builds.train_set_completion.settings import SetCompletionTraining
from paribus.experiments.builds.train_set_completion.spec import TrainSetCompletion
from paribus.experiments.history import checkpoint_table, history_figure, history_of
from paribus.models.state import cpu_state, state_digest
from paribus.results.schema import Aggregates
from paribus.training.loops.workspace import checkpoint_name

HISTORY_COLUMNS = {
    "epoch": "passes over the training builds so far",
    "train_loss": "mean binary cross-entropy over the steps of that epoch",
    "val_loss": "the same on held-out builds, the same tokens removed every time",
    "recall": "share of the removed tokens of held-out builds among as many best-scored absent tokens",
}


def validate(setup: BuildSetup) -> None:
    """Check that the model learns, and that there are builds to learn from and to hold out.

    Raises:
        ConfigError: If the model learns nothing.
        DataError: If there are fewer than two distinct builds.
    """
    shared.trainable(setup)
    if len(setup.corpus.builds) < 2:
        raise DataError(f"training needs at least 2 distinct builds, the corpus has {len(setup.corpus.builds)}")


def run(experiment: TrainSetCompletion, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Train ``setup.model`` in place, or resume a killed run.

    Raises:
        ConfigError: If the model learns nothing.
        ExperimentError: If the loss is not finite; the history so far is handed over first.
    """
    network = shared.trainable(setup)
    names = [f.name for f in dataclasses.fields(SetCompletionTraining)]
    settings = SetCompletionTraining(**{name: getattr(experiment, name) for name in names})
    loop = SetCompletionLoop(
        network,
        setup.corpus.builds,
        setup.vocabulary,
        settings,
        seed=setup.seed,
        identity=f"{setup.corpus.digest}/{state_digest(network.state_dict())}",
        workspace=recorder.workspace,
        device=setup.device,
    )
    with history_of(recorder, HISTORY_COLUMNS) as observe:
        run = loop.run(
            lambda entry: observe(dataclasses.asdict(entry)),
            lambda epochs: recorder.progress(epochs, total=len(epochs), description="epochs"),
        )
    if run.resumed_from is not None:
        recorder.warn(f"training was interrupted and taken up again after epoch {run.resumed_from}")
    recorder.table(checkpoint_table(run.best_epoch, shared.CHOSEN))
    name = checkpoint_name(run.best_epoch)
    recorder.workspace.save(name, {"model": cpu_state(network), "epoch": run.best_epoch})
    recorder.workspace.publish(name)
    recorder.figure(
        history_figure(
            "figure_loss", "val_loss", "Loss on held-out builds", "Lower is better.", x="epoch", ylabel="loss"
        )
    )
    recorder.figure(
        history_figure(
            "figure_recall",
            "recall",
            "Removed tokens found again",
            "Share of the removed tokens of held-out builds among as many best-scored absent tokens.",
            x="epoch",
            ylabel="recall",
        )
    )
    best = run.history[run.best_epoch - 1]
    recorder.metric("best_val_loss", best.val_loss)
    recorder.metric("best_recall", best.recall)
    recorder.diagnose(n_contexts_tested=run.n_val)
    return Aggregates(
        n_samples=run.n_train,
        n_conditions=len(run.history),
        custom={
            "best_epoch": run.best_epoch,
            "best_val_loss": best.val_loss,
            "best_recall": best.recall,
            "n_val": run.n_val,
            "n_parameters": sum(p.numel() for p in network.parameters()),
        },
    )
