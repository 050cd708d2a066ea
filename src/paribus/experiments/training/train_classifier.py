"""Training a classifier, with its history and its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.base import Experiment
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
    subjects: ClassVar[tuple[str, ...]] = ("tables",)
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Trains a classifier under a training condition; keeps history and checkpoints."
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "training")
    produces_model: ClassVar[bool] = True
    work: ClassVar[str] = "paribus.experiments.training._train_classifier"
