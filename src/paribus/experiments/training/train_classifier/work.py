"""Trains a classifier, and reports its history, its checkpoints and a summary."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import pandas as pd

from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.history import checkpoints_table, history_of
from paribus.experiments.setup_labelled import LabelledSetup
from paribus.experiments.training.train_classifier.spec import TrainClassifier
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.subjects.in_splits import SPLITS
from paribus.training.init_scale import ScaledTensor
from paribus.training.loops.classifier import Training, train_classifier
from paribus.training.loops.workspace import checkpoint_name
from paribus.training.spec import TrainingSpec

ACCURACIES = {
    "train_acc": "training",
    "id_val_acc": "in-distribution validation",
    "val_acc": "validation domain",
    "ood_acc": "OOD domain",
}
HEADLINES = {"best_ood": "ood_acc", "best_val": "val_acc", "final_ood": "ood_acc", "final_id_val": "id_val_acc"}
"""Metrics of a training, and the accuracy that each needs."""
NAN = float("nan")
HISTORY_COLUMNS = {
    "epoch": "passes over the training images so far",
    "train_loss": "mean cross-entropy over the steps of that epoch",
    "train_acc": "accuracy on the training images",
    "id_val_acc": "accuracy on held-out images of the training domains",
    "val_acc": "accuracy on the validation domain, on which every choice is made",
    "ood_acc": "accuracy on the OOD domain, which is only reported",
    "weight_norm": "Euclidean norm of all parameters that are trained",
    "feature_rank": "effective rank of the features that enter the last linear layer",
}


def run(experiment: TrainClassifier, setup: LabelledSetup, recorder: Recorder) -> Aggregates:
    """Train ``setup.model`` in place, or resume a killed run.

    Raises:
        ConfigError: If the setup says nothing about training.
        ExperimentError: If the loss is not finite; the history so far is handed over first.
    """
    spec = setup.training
    if spec is None:
        raise ConfigError("training: a training condition is needed, e.g. training=standard")
    if spec.mixed_precision and setup.device == "cpu":
        recorder.warn("training.mixed_precision has no effect on the CPU: trained in single precision")
    lacking = {f"{split}_acc" for split in SPLITS if split not in setup.data.splits}

    with history_of(recorder, HISTORY_COLUMNS, lacking) as observe:
        training = train_classifier(
            setup.model,
            setup.data,
            spec,
            rng=setup.rng("training"),
            workspace=recorder.workspace,
            device=setup.device,
            batch_limit=setup.batch_limit,
            observe=lambda evaluation: observe(dataclasses.asdict(evaluation)),
            progress=lambda epochs: recorder.progress(epochs, total=len(epochs), description="epochs"),
        )
    if training.resumed_from is not None:
        recorder.warn(f"training was interrupted and taken up again after epoch {training.resumed_from}")
    recorder.table(_checkpoint_table(training))
    recorder.table(_scaling_table(training.scaled, spec))
    _warn_of_scaling(training.scaled, spec, recorder)
    for epoch in training.kept:
        recorder.workspace.publish(checkpoint_name(epoch))
    for figure in _figures(setup.data.n_classes, lacking):
        recorder.figure(figure)
    summary = summarise(training, spec, n_train=len(setup.data.rows("train")), seed=setup.seed)
    recorder.table(_summary_table(summary))
    for name, column in HEADLINES.items():
        if column not in lacking:
            recorder.metric(name, float(summary[name]))
    _say_choice(training, recorder)
    recorder.diagnose(n_contexts_tested=sum(len(rows) for rows in setup.data.splits.values()))
    return Aggregates(n_samples=summary["n_train"], n_conditions=len(training.history), custom=summary)


def summarise(training: Training, spec: TrainingSpec, *, n_train: int, seed: int) -> dict[str, Any]:
    """Return the summary of a training: its condition, its peaks and its end."""
    at = {evaluation.epoch: evaluation for evaluation in training.history}
    last = training.history[-1]
    unknown = dataclasses.replace(last, id_val_acc=NAN, val_acc=NAN, ood_acc=NAN)
    peaks = (training.peak_val_epoch, training.peak_ood_epoch)
    peak_val, peak_ood = (unknown if epoch is None else at[epoch] for epoch in peaks)
    return {
        "training": spec.condition,
        "n_train": n_train,
        "seed": seed,
        "best_ood": peak_ood.ood_acc,
        "peak_ood_epoch": training.peak_ood_epoch,
        "best_val": peak_val.val_acc,
        "peak_val_epoch": training.peak_val_epoch,
        "ood_at_peak_val": peak_val.ood_acc,
        "id_val_at_peak_val": peak_val.id_val_acc,
        "final_ood": last.ood_acc,
        "final_val": last.val_acc,
        "final_id_val": last.id_val_acc,
        "final_train": last.train_acc,
        "final_epoch": last.epoch,
    }


def _say_choice(training: Training, recorder: Recorder) -> None:
    column = training.peaks.get("peak_val")
    if column is None:
        recorder.warn(
            "The data have neither val nor id_val: no checkpoint is peak_val; use checkpoint=final or epoch:N."
        )
    elif column != "val_acc":
        recorder.warn("The data have no split val: peak_val is the best accuracy on id_val, which is reported too.")


def _checkpoint_table(training: Training) -> Table:
    meanings = {
        "peak_val": "best accuracy on the validation domain",
        "peak_ood": "best accuracy on the OOD domain (selected on the reported split)",
    }
    peaks = {"peak_val": training.peak_val_epoch, "peak_ood": training.peak_ood_epoch}
    return checkpoints_table(training.kept, meanings, **peaks, final=training.history[-1].epoch)


def _scaling_table(scaled: tuple[ScaledTensor, ...], spec: TrainingSpec) -> Table:
    frame = pd.DataFrame([dataclasses.asdict(one) for one in scaled], columns=["name", "shape", "before_norm"])
    frame["factor"] = spec.init_scale
    meanings = {
        "before_norm": "a normalisation follows: the scale leaves the function as it is and shrinks its steps",
        "factor": "what the starting weights were multiplied by",
    }
    says = "One row per weight that the init scale multiplies; biases and norms are left as they are."
    return Table("init_scale", says, Evidence.TRAINING, frame, meanings)


def _summary_table(summary: dict[str, Any]) -> Table:
    meanings = {
        "best_ood": "best OOD accuracy of any evaluation (selected on the reported split)",
        "ood_at_peak_val": "OOD accuracy at the epoch that is best on the validation domain",
    }
    says = "The one row that sums the training up."
    return Table("summary", says, Evidence.TRAINING, pd.DataFrame([summary]), meanings)


def _warn_of_scaling(scaled: tuple[ScaledTensor, ...], spec: TrainingSpec, recorder: Recorder) -> None:
    normed = sum(tensor.before_norm for tensor in scaled)
    if spec.init_scale != 1.0 and normed:
        recorder.warn(
            f"init scale {spec.init_scale:g}: {normed} of {len(scaled)} scaled weights come before a normalisation, "
            "where the scale changes no output and only makes each step relatively smaller"
        )


def _figures(n_classes: int, lacking: Collection[str]) -> list[Figure]:
    shown = {column: label for column, label in ACCURACIES.items() if column not in lacking}
    curves = Figure.of("curve", "history", name="training_curves", x="epoch", y=tuple(shown))
    says = "The OOD domain is never trained on and no choice is made on it." if "ood_acc" in shown else ""
    looks: dict[str, Any] = {"labels": list(shown.values()), "hline": {"chance": 1.0 / n_classes}, "logx": "auto"}
    sizes = Figure.of("curve", "history", name="weights_and_features", x="epoch", y=("weight_norm", "feature_rank"))
    names = ["weight norm", "effective rank of the last features"]
    norms: dict[str, Any] = {"ylabel": "norm; effective rank", "labels": names, "logx": "auto"}
    return [
        curves.titled("Accuracy over training", says, xlabel="epoch", ylabel="accuracy", **looks),
        sizes.titled("Weight norm and feature rank over training", xlabel="epoch", **norms),
    ]
