"""Training a model as a tracked run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.training.train_classifier.spec import TrainClassifier

__all__ = ["TrainClassifier"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
