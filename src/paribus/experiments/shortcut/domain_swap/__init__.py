"""A6: the same content in every domain's style, and what the style alone does to the prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.shortcut.domain_swap.spec import DomainSwap

__all__ = ["DomainSwap"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
