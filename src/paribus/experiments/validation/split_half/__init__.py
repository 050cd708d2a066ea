"""Whether two halves of the data agree on the effects another experiment reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.validation.split_half.spec import SplitHalf

__all__ = ["SplitHalf"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
