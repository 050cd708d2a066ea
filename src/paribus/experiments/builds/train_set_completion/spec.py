"""Training a set completion model on the builds of a corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.experiments.base import Experiment
from paribus.experiments.told import Sentence, Told
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True)
class TrainSetCompletion(Experiment):
    """Trains the model to name the whole set from a set with some tokens removed; keeps the best epoch.

    Example:
        >>> TrainSetCompletion(epochs=3).epochs
        3
    """

    epochs: int = field(24, low=1, help="Passes over the builds.")
    batch_size: int = field(64, low=1, help="Builds in one step.")
    lr: float = field(3e-3, above=0.0, help="Learning rate of AdamW (1e-4 for the full-size model).")
    weight_decay: float = field(0.01, low=0.0, help="Decoupled weight decay.")
    clip: float = field(1.0, above=0.0, help="Largest norm of the gradient.")
    val_share: float = field(0.1, above=0.0, below=1.0, help="Share of the builds held out, by build.")

    type: ClassVar[str] = "train_set_completion"
    evidence: ClassVar[Evidence] = Evidence.TRAINING
    subject: ClassVar[str] = "builds"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Trains a set completion model on the builds of a corpus."
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence(
            "Best at epoch {best_epoch}: validation loss {best_val_loss:.3f} on {n_val} partial builds, of "
            "the missing tokens {best_recall:share} recalled."
        ),
    )
    needs: ClassVar[tuple[str, ...]] = ("data", "model")
    produces_model: ClassVar[bool] = True

    def validate(self, setup: BuildSetup) -> None:
        """Check that the model learns, and that there are builds to learn from and to hold out.

        Raises:
            ConfigError: If the model learns nothing.
            DataError: If there are fewer than two distinct builds.
        """
        self.work_module().validate(setup)
