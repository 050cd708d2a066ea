"""Whether the effects of two units add up, on any network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.interact.spec import Interact

__all__ = ["Interact"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
