"""The value at a place from another context, one place after the other, on any network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.patch.spec import Patch

__all__ = ["Patch"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
