"""How a feature differs between weapons in the corpus, and what swapping the weapon in a build really does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.experiments.base import SUFFICIENCY
from paribus.experiments.builds.weapon_experiment import WeaponExperiment
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.battery import Battery
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class WeaponSweep(WeaponExperiment):
    """Compare weapons as they are used, and put every weapon into the same builds.

    Example:
        >>> WeaponSweep(swap_contexts=50).swap_contexts
        50
    """

    type: ClassVar[str] = "weapon_sweep"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Weapons as used (correlation) beside every weapon swapped into the same builds."
    bears_on: ClassVar[tuple[str, ...]] = (SUFFICIENCY,)
    battery: ClassVar[Battery | None] = Battery("weapon_swaps", ("weapon",))
    tells: ClassVar[tuple[Told, ...]] = (
        Effects(
            "weapon_swaps",
            "{weapon}",
            "change of the activation with the weapon put into the same builds",
            null="like features",
        ),
        Effects("weapon_stats", "{weapon}", "difference to other weapons, as observed", "delta", "delta_adj_{}"),
        Sentence(
            "{recommended_followup} is recommended: a weapon dominates the feature.", when="dominant_weapon_detected"
        ),
    )

    top_k_weapons: int = field(20, low=1, help="Weapons in the figure and in the list of top weapons.")

    def most_entries(self, setup: BuildSetup) -> int:
        """Return the number of weapons."""
        return setup.weapons.size
