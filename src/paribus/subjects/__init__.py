"""What kind of data an experiment is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.subjects.as_trained import AsTrained
    from paribus.subjects.kind import Kind
    from paribus.subjects.offers import Offers

__all__ = ["AsTrained", "Kind", "Offers"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
