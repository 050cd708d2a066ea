"""The minimal sets of units that keep the readout, on any network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.cores.spec import Cores

__all__ = ["Cores"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
