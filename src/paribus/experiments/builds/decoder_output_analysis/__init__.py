"""The effect of a latent's decoder column on every output, and whether setting the latent has the same effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.decoder_output_analysis.spec import DecoderOutputAnalysis

__all__ = ["DecoderOutputAnalysis"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
