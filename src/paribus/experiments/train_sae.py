"""Training a sparse autoencoder at a place of a trained network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.suiting import OnBuildsOrOthers
from paribus.experiments.told import Sentence, Told
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.setup import NetworkSetup
    from paribus.models.nets.sae import SparseAutoencoder


@dataclass(frozen=True)
class TrainSAE(OnBuildsOrOthers):
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
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Trains a sparse autoencoder at a place of a trained network."
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence("The autoencoder explains {explained_variance:share} of the variance of held-out vectors."),
    )
    work: ClassVar[str] = "paribus.experiments.builds._train_sae"
    work_elsewhere: ClassVar[str] = "paribus.experiments.any.train_sae.work"
    of_builds: ClassVar[tuple[str, ...]] = ("clamp",)
    elsewhere: ClassVar[tuple[str, ...]] = ("place", "top_k", "split")
    on_builds: ClassVar[str] = "a training on builds reads the pooled vector"
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

    def stand_in(self, setup: NetworkSetup) -> tuple[str, SparseAutoencoder]:
        """Return where the autoencoder is going to read, and one of its shape that is not trained.

        Raises:
            ConfigError: If the place does not exist.
        """
        found: tuple[str, SparseAutoencoder] = self.work_on(setup).stand_in(self, setup)
        return found
