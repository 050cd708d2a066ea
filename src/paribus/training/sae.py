"""How a sparse autoencoder is trained, and what is reported of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SAETraining:
    """Settings: mean squared error plus an L1 penalty on the activations; unit-norm decoder columns.

    Attributes:
        n_features: Number of features.
        clamp: Upper bound of the activation; None for none.
        l1: Weight of the L1 penalty.
        steps: Optimiser steps.
        batch_size: Vectors in one step.
        lr: Learning rate of Adam.
        n_evaluations: Evaluations, evenly spread; the state is kept at each.
        dead_after: Steps without firing after which a feature counts as dead and is revived.
        revive_until: Share of the steps after which dead features are left alone.
    """

    n_features: int
    clamp: float | None
    l1: float
    steps: int
    batch_size: int
    lr: float
    n_evaluations: int
    dead_after: int
    revive_until: float


@dataclass(frozen=True)
class SAEQuality:
    """How well an autoencoder reconstructs held-out vectors.

    Attributes:
        mse: Mean squared error of a component.
        explained_variance: 1 - residual variance / variance.
        l0: Mean number of active features of a vector.
        active_share: The same as a share of all features.
        dead_share: Share of features that never fire.
    """

    mse: float
    explained_variance: float
    l0: float
    active_share: float
    dead_share: float
