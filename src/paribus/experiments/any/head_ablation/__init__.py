"""Attention heads of all layers ablated one by one, and the first K together, on any transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.head_ablation.spec import HeadAblation

__all__ = ["HeadAblation"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
