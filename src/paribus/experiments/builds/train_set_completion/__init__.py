"""Training a set completion model on the builds of a corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.train_set_completion.spec import TrainSetCompletion

__all__ = ["TrainSetCompletion"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
