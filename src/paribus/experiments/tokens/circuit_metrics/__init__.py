"""Metrics that distinguish the circuits of modular addition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.tokens.circuit_metrics.spec import CircuitMetrics

__all__ = ["CircuitMetrics"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
