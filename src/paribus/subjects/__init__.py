"""What kind of data an experiment is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.subjects.as_trained import AsTrained

__all__ = ["AsTrained"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
