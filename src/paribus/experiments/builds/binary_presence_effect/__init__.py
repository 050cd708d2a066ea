"""What adding and what removing a main-only ability does, alone and at each rung of another family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.binary_presence_effect.spec import BinaryPresenceEffect

__all__ = ["BinaryPresenceEffect"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
