"""A result as one self-contained page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.report.page import render

__all__ = ["render"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
