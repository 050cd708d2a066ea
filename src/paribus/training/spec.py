"""How a classifier is trained: the ``training`` config group."""

from __future__ import annotations

from dataclasses import dataclass

from paribus.errors import ConfigError
from paribus.spec import Spec, field


@dataclass(frozen=True)
class TrainingSpec(Spec, kind="training"):
    """Cross-entropy with AdamW, the three factors of grokking, and when to evaluate and keep checkpoints.

    The weight decay and the init scale of the grokking conditions are this project's own choice: the study that
    the conditions come from does not publish its values.

    Example:
        >>> TrainingSpec(epochs=20, weight_decay=1.0).epochs
        20
    """

    condition: str = field("standard", help="Name of the training condition; runs are grouped by it.")
    epochs: int = field(60, low=1, help="Passes over the training images.")
    batch_size: int = field(32, low=1, help="Images in one step.")
    lr: float = field(1e-3, above=0.0, help="Learning rate of AdamW.")
    weight_decay: float = field(1e-4, low=0.0, help="Decoupled weight decay, of all parameters with two or more axes.")
    init_scale: float = field(
        1.0, above=0.0, help="Factor on the starting weights of all convolutions and linear maps."
    )
    grokfast: bool = field(False, help="Amplify the slow part of the gradient (Grokfast-EMA).")
    grokfast_alpha: float = field(0.98, low=0.0, below=1.0, help="Memory of the gradient's moving average.")
    grokfast_lamb: float = field(2.0, low=0.0, help="Weight of the moving average that is added to the gradient.")
    n_evaluations: int = field(24, low=1, help="Evaluations, at log-spaced epochs; the last epoch is one of them.")
    n_checkpoints: int = field(
        6, low=1, help="Log-spaced checkpoints; the best on val, the best on ood and the last are kept besides."
    )
    mixed_precision: bool = field(False, help="Half precision in the forward pass on CUDA; no effect on the CPU.")
    resume_seconds: float = field(
        30.0, low=0.0, science=False, help="Longest time that a kill may cost; state is also kept at every evaluation."
    )

    def check(self) -> None:
        """Check that every checkpoint can be kept at an evaluation.

        Raises:
            ConfigError: If more checkpoints than evaluations are asked for.
        """
        if self.n_checkpoints > self.n_evaluations:
            raise ConfigError(
                f"TrainingSpec.n_checkpoints: must be at most n_evaluations ({self.n_evaluations}), "
                f"got {self.n_checkpoints}; a checkpoint is kept at an evaluation"
            )
