"""The variables of a training on modular addition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.errors import ConfigError
from paribus.experiments.base import Experiment
from paribus.experiments.requires import Requires
from paribus.experiments.told import Sentence, Told
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True)
class TrainModularAddition(Experiment):
    """Trains on all training pairs at once, far beyond the epoch at which they are memorised.

    With weight decay a network that has memorised the training pairs goes on to compute the sum, many epochs later.

    Example:
        >>> TrainModularAddition(epochs=200).evaluate_every
        10
    """

    type: ClassVar[str] = "train_modular_addition"
    evidence: ClassVar[Evidence] = Evidence.TRAINING
    subject: ClassVar[str] = "tokens"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Trains on modular addition until held-out pairs are answered, and says how late that is."
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence(
            "Training pairs are answered from epoch {train_epoch} on, held-out pairs from epoch {val_epoch} "
            "on ({delay:.1f} times later)."
        ),
        Sentence(
            "Held-out pairs are not answered within {final_epoch} epochs: accuracy {final_val_acc:share} at "
            "the end, {final_train_acc:share} on training pairs.",
            when="censored",
        ),
    )
    needs: ClassVar[tuple[str, ...]] = ("data", "model")
    produces_model: ClassVar[bool] = True
    requires: ClassVar[Requires] = Requires(splits=("train", "id_val"))

    epochs: int = field(1000, low=1, help="Steps, each on all training pairs.")
    lr: float = field(1e-3, above=0.0, help="Learning rate of AdamW (betas .9 and .98).")
    weight_decay: float = field(2.0, low=0.0, help="Decoupled weight decay of all parameters.")
    warm_up: int = field(10, low=0, help="Epochs over which the learning rate rises.")
    evaluate_every: int = field(10, low=1, help="Epochs between evaluations.")
    n_checkpoints: int = field(4, low=1, help="Evenly spaced checkpoints; the last epoch is one of them.")
    level: float = field(0.99, above=0.0, high=1.0, help="Accuracy from which on a split counts as answered.")

    def check(self) -> None:
        """Check that there are not more checkpoints than epochs.

        Raises:
            ConfigError: If there are.
        """
        if self.n_checkpoints > self.epochs:
            raise ConfigError(
                f"TrainModularAddition.n_checkpoints: must be at most epochs ({self.epochs}), got {self.n_checkpoints}"
            )
