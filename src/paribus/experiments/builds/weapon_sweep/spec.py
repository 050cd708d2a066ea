"""B9: how a feature differs between weapons in the corpus, and what swapping the weapon in a build really does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.builds.weapon_experiment import WeaponExperiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class WeaponSweep(WithEffectVector, WeaponExperiment):
    """Compare weapons as they are used, and put every weapon into the same builds.

    Example:
        >>> WeaponSweep(swap_contexts=50).swap_contexts
        50
    """

    type: ClassVar[str] = "weapon_sweep"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "weapons as used (correlation) beside every weapon swapped into the same builds"

    top_k_weapons: int = field(20, low=1, help="Weapons in the figure and in the list of top weapons.")
