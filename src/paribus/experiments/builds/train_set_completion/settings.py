"""How a set completion model is trained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SetCompletionTraining:
    """Settings of the training: binary cross-entropy on the whole set, from a set with some tokens removed.

    Attributes:
        epochs: Passes over the builds.
        batch_size: Builds in one step.
        lr: Learning rate of AdamW.
        weight_decay: Decoupled weight decay.
        clip: Largest norm of the gradient.
        val_share: Share of the builds kept for validation (by build, so that duplicates do not leak).
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    clip: float
    val_share: float


@dataclass(frozen=True)
class SetCompletionEpoch:
    """What one epoch gave.

    Attributes:
        epoch: From 1.
        train_loss: Mean loss over the steps of the epoch.
        val_loss: Loss on the validation builds, the same tokens removed every time.
        recall: Share of the removed tokens of validation builds among as many best-scored absent ones.
    """

    epoch: int
    train_loss: float
    val_loss: float
    recall: float
