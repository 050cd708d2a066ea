"""Training a sparse autoencoder on the pooled vectors of a set model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.errors import ConfigError
from paribus.experiments.base import Experiment
from paribus.experiments.told import Sentence, Told
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True)
class TrainSAE(Experiment):
    """Trains an autoencoder with unit-norm decoder columns; dead features are revived.

    Example:
        >>> TrainSAE(n_features=64).n_features
        64
    """

    n_features: int = field(256, low=2, help="Number of features.")
    clamp: float | None = field(6.0, above=0.0, help="Upper bound of an activation; null for none.")
    l1: float = field(0.015, low=0.0, help="Weight of the L1 penalty (against the error as a share of the variance).")
    steps: int = field(2500, low=1, help="Optimiser steps.")
    batch_size: int = field(512, low=1, help="Vectors in one step.")
    lr: float = field(3e-3, above=0.0, help="Learning rate of Adam.")
    n_evaluations: int = field(12, low=1, help="Evaluations on held-out vectors, evenly spread.")
    dead_after: int = field(250, low=1, help="Steps without firing after which a feature is revived.")
    revive_until: float = field(0.7, low=0.0, high=1.0, help="Share of the steps after which none is revived any more.")
    n_vectors: int = field(12_000, low=100, help="Vectors to train on: partial builds of the corpus.")
    val_share: float = field(0.1, above=0.0, below=1.0, help="Share of the builds whose vectors are held out.")

    type: ClassVar[str] = "train_sae"
    evidence: ClassVar[Evidence] = Evidence.TRAINING
    subject: ClassVar[str] = "builds"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Trains a sparse autoencoder on the pooled vector of a trained set model."
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence("The autoencoder explains {explained_variance:share} of the variance of held-out vectors."),
    )
    needs: ClassVar[tuple[str, ...]] = ("data", "model")
    produces_model: ClassVar[bool] = True
    takes_model: ClassVar[bool] = True
    """It reads a trained model and publishes it again, with the autoencoder beside it."""

    def check(self) -> None:
        """Check that there are not more evaluations than steps."""
        if self.n_evaluations > self.steps:
            raise ConfigError(f"TrainSAE: n_evaluations ({self.n_evaluations}) must be at most steps ({self.steps})")
