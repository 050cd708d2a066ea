"""All combinations of two factors' levels on any network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.grid.spec import Grid

__all__ = ["Grid"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
