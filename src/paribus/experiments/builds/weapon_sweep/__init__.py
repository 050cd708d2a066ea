"""How a feature differs between weapons in the corpus, and what swapping the weapon in a build really does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.weapon_sweep.spec import WeaponSweep

__all__ = ["WeaponSweep"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
