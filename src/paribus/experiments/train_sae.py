"""Training a sparse autoencoder at a place of a trained network."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.base import ANY, Experiment, Recorder
from paribus.experiments.suiting import refuse_said
from paribus.experiments.told import Sentence, Told
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.setup import NetworkSetup
    from paribus.models.nets.sae import SparseAutoencoder

OF_BUILDS = ("clamp",)
ELSEWHERE = ("place", "top_k", "split")
"""Fields that a training on builds has, and those that one on any other network has, by themselves."""


@dataclass(frozen=True)
class TrainSAE(Experiment):
    """Trains an autoencoder with unit-norm decoder columns; dead features are revived.

    On builds it reads the pooled vector before the last layer, on every other network the place that is named. There
    every position (of a map, of a sequence) is a vector of its own.

    Example:
        >>> TrainSAE(n_features=64).n_features
        64
    """

    n_features: int = field(256, low=2, help="Number of features.")
    clamp: float | None = field(6.0, above=0.0, help="Builds: upper bound of an activation; null for none.")
    l1: float = field(0.015, low=0.0, help="Weight of the L1 penalty (against the error as a share of the variance).")
    steps: int = field(2500, low=1, help="Optimiser steps.")
    batch_size: int = field(512, low=1, help="Vectors in one step.")
    lr: float = field(3e-3, above=0.0, help="Learning rate of Adam.")
    n_evaluations: int = field(12, low=1, help="Evaluations on held-out vectors, evenly spread.")
    dead_after: int = field(250, low=1, help="Steps without firing after which a feature is revived.")
    revive_until: float = field(0.7, low=0.0, high=1.0, help="Share of the steps after which none is revived any more.")
    n_vectors: int = field(
        12_000, low=100, help="Vectors to train on: partial builds of the corpus; elsewhere positions drawn at random."
    )
    val_share: float = field(
        0.1, above=0.0, below=1.0, help="Share of the builds, or of the clusters, whose vectors are held out."
    )
    place: str = field(
        "auto",
        unstated="auto",
        help="Other networks: the module whose values it reads, its input or output; auto: the input of the last "
        "linear layer.",
    )
    top_k: int | None = field(
        None,
        low=1,
        unstated=None,
        help="Other networks: features that stay active, the largest ones, without an L1 penalty; null: ReLU and L1.",
    )
    split: str = field(
        "auto", unstated="auto", help="Other networks: the split to train on; auto: train where there is one."
    )

    type: ClassVar[str] = "train_sae"
    evidence: ClassVar[Evidence] = Evidence.TRAINING
    subject: ClassVar[str] = "builds"
    subjects: ClassVar[tuple[str, ...]] = (ANY,)
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Trains a sparse autoencoder at a place of a trained network."
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence("The autoencoder explains {explained_variance:share} of the variance of held-out vectors."),
    )
    work: ClassVar[str] = "paribus.experiments.builds._train_sae"
    work_elsewhere: ClassVar[str] = "paribus.experiments.any.train_sae.work"
    needs: ClassVar[tuple[str, ...]] = ("data", "model")
    produces_model: ClassVar[bool] = True
    takes_model: ClassVar[bool] = True
    """It reads a trained model and publishes it again, with the autoencoder beside it."""

    def check(self) -> None:
        """Check that there are not more evaluations than steps, and not more active features than there are.

        Raises:
            ConfigError: If there are.
        """
        if self.n_evaluations > self.steps:
            raise ConfigError(f"TrainSAE: n_evaluations ({self.n_evaluations}) must be at most steps ({self.steps})")
        if self.top_k is not None and self.top_k >= self.n_features:
            raise ConfigError(f"TrainSAE: top_k ({self.top_k}) must be below n_features ({self.n_features})")

    def suits(self, subject: str) -> None:
        """Refuse fields that say nothing on data of this kind.

        Raises:
            ConfigError: If one is set.
        """
        if subject == self.subject:
            refuse_said(self, ELSEWHERE, "a training on builds reads the pooled vector")
        else:
            refuse_said(self, OF_BUILDS, "belongs to builds")

    def validate(self, setup: Any) -> None:
        """Look up place and split.

        Raises:
            ConfigError: If one is not there, a field is set that says nothing on these data, or the model of builds
                learns nothing.
        """
        self.suits(setup.subject_name)
        self._work_on(setup.subject_name).validate(self, setup)

    def run(self, setup: Any, recorder: Recorder) -> Aggregates:
        """Train, or resume a killed run.

        Raises:
            DivergedError: If the loss is not finite; the history so far is handed over first.
        """
        found: Aggregates = self._work_on(setup.subject_name).run(self, setup, recorder)
        return found

    def stand_in(self, setup: NetworkSetup) -> tuple[str, SparseAutoencoder]:
        """Return where the autoencoder is going to read, and one of its shape that is not trained.

        Raises:
            ConfigError: If the place does not exist.
        """
        found: tuple[str, SparseAutoencoder] = self._work_on(setup.subject_name).stand_in(self, setup)
        return found

    def _work_on(self, subject: str) -> Any:
        return self.work_module() if subject == self.subject else importlib.import_module(self.work_elsewhere)
