"""Sweep one factor's levels on any network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.sweep.spec import Sweep

__all__ = ["Sweep"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
