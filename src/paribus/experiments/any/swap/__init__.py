"""Another context's level of a factor in the same context, on any network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.swap.spec import Swap

__all__ = ["Swap"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
