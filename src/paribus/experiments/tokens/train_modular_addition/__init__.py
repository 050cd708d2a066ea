"""Training on modular addition, from memorising the pairs to computing the sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.tokens.train_modular_addition.spec import TrainModularAddition

__all__ = ["TrainModularAddition"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
