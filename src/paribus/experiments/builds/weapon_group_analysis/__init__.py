"""Which weapons are more common where a feature is high than where it is low."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.weapon_group_analysis.spec import WeaponGroupAnalysis

__all__ = ["WeaponGroupAnalysis"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
