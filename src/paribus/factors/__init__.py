"""What is varied in a network: units, heads, directions, subspaces, latents, and values of other contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.factors.spec import Directions, Erase, Heads, Latent, Patch, PatchAlong, Units

__all__ = ["Directions", "Erase", "Heads", "Latent", "Patch", "PatchAlong", "Units"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
