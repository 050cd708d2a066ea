"""Training a sparse autoencoder on the pooled vectors of a set model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.train_sae.spec import TrainSAE

__all__ = ["TrainSAE"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
