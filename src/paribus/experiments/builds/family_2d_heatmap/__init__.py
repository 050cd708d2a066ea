"""Two families varied together, cell by cell, and their interaction in every cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.family_2d_heatmap.spec import Family2dHeatmap

__all__ = ["Family2dHeatmap"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
