"""Whether a weapon's sub, special or their pair goes with a feature, and whether swapping shows it too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.experiments.base import SUFFICIENCY
from paribus.experiments.builds.weapon_experiment import WeaponExperiment
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class KitSweep(WeaponExperiment):
    """Group weapons by sub, special and their combination, as used and as swapped.

    Example:
        >>> KitSweep(analyze_combinations=False).sorts()
        ['sub', 'special']
    """

    type: ClassVar[str] = "kit_sweep"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "Weapons grouped by sub, special and both: as used, and swapped into the same builds."
    bears_on: ClassVar[tuple[str, ...]] = (SUFFICIENCY,)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("sub_swaps", "{sub}", "change of the activation with weapons of this sub put in", null="like features"),
        Effects(
            "special_swaps",
            "{special}",
            "change of the activation with weapons of this special put in",
            null="like features",
        ),
        Effects(
            "combo_swaps",
            "{kit}",
            "change of the activation with weapons of this sub and special put in",
            null="like features",
        ),
        Sentence("As used, which is a correlation: the tables {correlational:list}."),
    )

    analyze_combinations: bool = field(True, help="Whether to group by the pair of sub and special too.")
    top_k_groups: int = field(20, low=1, help="Groups of each sort in the figures.")

    def most_entries(self, setup: BuildSetup) -> int:
        """Return the number of subs and specials that are known of weapons."""
        return int(self.work_module().n_groups(setup))

    def sorts(self) -> list[str]:
        """Return what weapons are grouped by."""
        return ["sub", "special", *(["kit"] if self.analyze_combinations else [])]
