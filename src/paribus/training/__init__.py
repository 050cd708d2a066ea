"""How models are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.training.grokfast import GrokfastEMA
    from paribus.training.init_scale import scale_starting_weights
    from paribus.training.schedule import log_spaced, thinned
    from paribus.training.spec import TrainingSpec

__all__ = ["GrokfastEMA", "TrainingSpec", "log_spaced", "scale_starting_weights", "thinned"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
