"""Sweeps: the jobs of one request and their outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.sweep.estimate import span

__all__ = ["span"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
