"""Two families varied together, cell by cell, and their interaction in every cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.experiments.base import SUFFICIENCY
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.effect_vector import LEAST_TESTED, WithEffectVector
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class Family2dHeatmap(WithEffectVector, BuildExperiment):
    """Set two families to every pair of rungs in every context, and measure the feature.

    Example:
        >>> Family2dHeatmap(family_x="SSU", family_y="QR").family_y
        'QR'
    """

    type: ClassVar[str] = "family_2d_heatmap"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Two families varied together: activation and interaction in every cell."
    bears_on: ClassVar[tuple[str, ...]] = (SUFFICIENCY,)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects(
            "heatmap", "{x} AP x {y} AP", "activation beyond the sum of both alone", "interaction", null="like features"
        ),
        Sentence(
            "One effect of each family, added up, explains {additive_r2:share} of the variance of the mean activation "
            "between their combinations."
        ),
    )

    family_x: str = field(
        help="The family along x, by name or abbreviation (main-only ones too); or weapon:NAME or weapon_class:NAME."
    )
    family_y: str = field(help="The family along y, likewise; one of the two may be a weapon or a class of weapons.")
    rungs_x: list[int] | None = field(None, low=0, help="Rungs along x in AP; null: all of the vocabulary's.")
    rungs_y: list[int] | None = field(None, low=0, help="Rungs along y in AP; null: all of the vocabulary's.")
    min_n: int = field(LEAST_TESTED, low=2, help="Contexts below which a cell is not tested and cannot be the peak.")

    def most_entries(self, setup: BuildSetup) -> int:
        """Return the number of cells whose interaction is measured; of few contexts, of those that enough allow.

        Raises:
            ConfigError: If the vocabulary lacks a family or rung, or of few contexts none is legal.
        """
        return int(self.work_module().most_entries(self, setup))
