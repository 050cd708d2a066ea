"""Matching the latents of two autoencoders: of two seeds, or of two trained models on the same contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.match_features.spec import MatchFeatures

__all__ = ["MatchFeatures"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
