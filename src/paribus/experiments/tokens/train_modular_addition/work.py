"""Trains, and reports when the training pairs and when the held-out pairs are answered."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd
import torch

from paribus.experiments.base import Recorder
from paribus.experiments.history import checkpoints_table, history_of
from paribus.experiments.setup_labelled import LabelledSetup
from paribus.experiments.tokens.train_modular_addition.loop import (
    Evaluation,
    ModularTraining,
    first_above,
    train_modular,
)
from paribus.experiments.tokens.train_modular_addition.spec import TrainModularAddition
from paribus.models.state import cpu_state, state_digest
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.training.loops.workspace import checkpoint_name

COLUMNS = {
    "epoch": "steps so far, each on all training pairs",
    "train_loss": "cross-entropy at the training pairs, in nats",
    "train_acc": "share of training pairs answered right",
    "val_loss": "cross-entropy at the held-out pairs",
    "val_acc": "share of held-out pairs answered right",
    "weight_norm": "Euclidean norm of all parameters",
}
SUMMARY = {
    "train_epoch": "first evaluated epoch at which the training pairs are answered to the level; missing: never",
    "val_epoch": "the same of the held-out pairs; missing: never within the epochs of this training (censored)",
    "delay": "val_epoch / train_epoch; missing where either is",
    "censored": "whether the held-out pairs were not answered within the epochs",
}


def run(experiment: TrainModularAddition, setup: LabelledSetup, recorder: Recorder) -> Aggregates:
    """Train ``setup.model`` in place, or resume a killed run.

    Raises:
        ExperimentError: If the loss is not finite; the history so far is handed over first.
    """
    data, network = setup.data, setup.model.to(setup.device).train()
    settings = settings_of(experiment)

    def keep(epoch: int) -> None:
        recorder.workspace.save(checkpoint_name(epoch), {"model": cpu_state(network), "epoch": epoch})

    with history_of(recorder, COLUMNS) as observe:
        history = train_modular(
            network,
            torch.as_tensor(data.inputs, device=setup.device),
            torch.as_tensor(data.labels, device=setup.device),
            torch.as_tensor(data.rows("train"), device=setup.device),
            torch.as_tensor(data.rows("id_val"), device=setup.device),
            settings,
            identity=f"{data.digest}/{state_digest(network.state_dict())}",
            workspace=recorder.workspace,
            keep=keep,
            observe=lambda evaluation: observe(dataclasses.asdict(evaluation)),
            progress=lambda epochs: recorder.progress(epochs, total=len(epochs), description="epochs"),
        )
    # No choice is made on held-out pairs: the last weights are those that other experiments take.
    meanings = {"peak_val": "what checkpoint=peak_val means here: the last epoch, as held-out pairs choose nothing"}
    last = settings.keep[-1]
    recorder.table(checkpoints_table(settings.keep, meanings, peak_val=last, final=last))
    for epoch in settings.keep:
        recorder.workspace.publish(checkpoint_name(epoch))
    summary = summarise(history, experiment.level)
    recorder.table(_summary(summary))
    _figures(recorder, data.n_classes, summary)
    recorder.metric("final_val_acc", history[-1].val_acc)
    for name in ("train_epoch", "val_epoch", "delay"):
        if summary[name] is not None:
            recorder.metric(name, float(summary[name]))
    recorder.diagnose(n_contexts_tested=len(data.labels))
    if summary["censored"]:
        recorder.warn(
            f"held-out pairs were not answered to {experiment.level:g} within {experiment.epochs} epochs: the delay is "
            "censored, not infinite"
        )
    return Aggregates(n_samples=len(data.rows("train")), n_conditions=len(history), custom=summary)


def settings_of(experiment: TrainModularAddition) -> ModularTraining:
    """Return how an experiment trains; its checkpoints are evenly spaced and end with the last epoch.

    Example:
        >>> settings_of(TrainModularAddition(epochs=100, n_checkpoints=2)).keep
        (50, 100)
    """
    n = experiment.n_checkpoints
    keep = tuple(sorted({round(experiment.epochs * (index + 1) / n) for index in range(n)}))
    return ModularTraining(
        experiment.epochs,
        experiment.lr,
        experiment.weight_decay,
        experiment.warm_up,
        experiment.evaluate_every,
        keep,
    )


def summarise(history: list[Evaluation], level: float) -> dict[str, Any]:
    """Return when both splits were answered, and how the training ended."""
    train, val = first_above(history, "train_acc", level), first_above(history, "val_acc", level)
    last = history[-1]
    return {
        "train_epoch": train,
        "val_epoch": val,
        "delay": None if not train or val is None else val / train,
        "censored": val is None,
        "final_epoch": last.epoch,
        "final_train_acc": last.train_acc,
        "final_val_acc": last.val_acc,
        "final_weight_norm": last.weight_norm,
    }


def _summary(summary: dict[str, Any]) -> Table:
    frame = pd.DataFrame([{name: float("nan") if value is None else value for name, value in summary.items()}])
    return Table("summary", "The one row that sums the training up.", Evidence.TRAINING, frame, SUMMARY)


def _figures(recorder: Recorder, n_classes: int, summary: dict[str, Any]) -> None:
    marks = {
        label: float(summary[name])
        for label, name in (("training pairs answered", "train_epoch"), ("held-out pairs answered", "val_epoch"))
        if summary[name]
    }
    told = "never within these epochs" if summary["val_epoch"] is None else f"{summary['delay']:.1f} times later"
    drawn = Figure.of("curve", "history", name="training_curves", x="epoch", y=("train_acc", "val_acc"))
    says = f"Held-out pairs are answered {told}."
    looks: dict[str, Any] = {
        "labels": ["training pairs", "held-out pairs"],
        "hline": {"chance": 1.0 / n_classes},
        "vline": marks,
    }
    title = "Accuracy over training"
    recorder.figure(drawn.titled(title, says, xlabel="epoch", ylabel="accuracy", logx="auto", **looks))
    drawn = Figure.of("curve", "history", name="loss_and_norm", x="epoch", y=("train_loss", "val_loss", "weight_norm"))
    scale: dict[str, Any] = {"ylabel": "nats; norm", "logx": "auto", "logy": True}
    labels = ["training loss", "held-out loss", "weight norm"]
    recorder.figure(drawn.titled("Loss and weight norm over training", xlabel="epoch", labels=labels, **scale))
