"""The response of a feature to the rungs of one family, with everything else held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.family_1d_sweep.spec import Family1dSweep

__all__ = ["Family1dSweep"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
