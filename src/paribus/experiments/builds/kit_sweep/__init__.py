"""Whether a weapon's sub, special or their pair goes with a feature, and whether swapping shows it too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.kit_sweep.spec import KitSweep

__all__ = ["KitSweep"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
