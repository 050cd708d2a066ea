"""Training a classifier, with its history and its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.base import Experiment
from paribus.experiments.requires import Requires
from paribus.experiments.told import Sentence, Told
from paribus.results.evidence import Evidence


@dataclass(frozen=True)
class TrainClassifier(Experiment):
    """Trains the model, evaluates it on a schedule, and keeps checkpoints for other experiments.

    Example:
        >>> TrainClassifier().produces_model
        True
    """

    type: ClassVar[str] = "train_classifier"
    evidence: ClassVar[Evidence] = Evidence.TRAINING
    subject: ClassVar[str] = "images"
    subjects: ClassVar[tuple[str, ...]] = ("tables", "tokens")
    version: ClassVar[int] = 1
    requires: ClassVar[Requires] = Requires(labels=True, splits=("train",))
    summary: ClassVar[str] = "Trains a classifier under a training condition; keeps history and checkpoints."
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence(
            "Best on the validation domain at epoch {peak_val_epoch} (accuracy {best_val:share}); there "
            "{ood_at_peak_val:share} on the OOD domain and {id_val_at_peak_val:share} on held-out examples of the "
            "training domains."
        ),
        Sentence(
            "At the end, epoch {final_epoch}: {final_train:share} on {n_train} training examples, {final_id_val:share} "
            "held out, {final_ood:share} OOD."
        ),
    )
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "training")
    produces_model: ClassVar[bool] = True
