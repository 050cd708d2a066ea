"""Features beside each other, in one model and between models: effects in common, drivers, and how stable they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from paribus.compare.restricted import Restricted
from paribus.compare.where import check_where
from paribus.errors import ConfigError
from paribus.experiments.base import Experiment
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True)
class Battery:
    """Where an experiment type keeps the effects that make up a feature's vector.

    Attributes:
        table: The table.
        label: Columns that name an entry.
        value: Column of the effect.
        under: Param of the run that its entries belong under, such as the family that was swept; empty: none.
    """

    table: str
    label: tuple[str, ...]
    value: str = "mean_delta"
    under: str = ""


BATTERIES: Mapping[str, Battery] = {
    "token_influence_sweep": Battery("influence", ("token",)),
    "binary_presence_effect": Battery("binary_effects", ("ability", "direction")),
    "family_1d_sweep": Battery("rung_deltas", ("label",), under="experiment.family"),
    "weapon_sweep": Battery("weapon_swaps", ("weapon",)),
    "sweep": Battery("effects", ("level",), under="experiment.factor"),
    "swap": Battery("effects", ("level",), under="experiment.factor"),
    "ablate": Battery("effects", ("level",), under="experiment.place"),
}
CORES = {"minimal_cores": ("cores", "core"), "cores": ("cores", "core")}
CHECKS = ("split_half", "shuffle_null")


@dataclass(frozen=True)
class CompareFeatures(Restricted, Experiment):
    """Compare features by what the same battery of interventions does to each.

    A feature's effects are one vector over all edits of the battery. Features of one model are correlated with each
    other; those of two models (or of two autoencoders of one) are matched one to one by the correlation of their
    vectors, beside matches of vectors whose entries were exchanged. Of each model: what share of its features has an
    established driver, which factors drive how many, and how many repeat.

    Example:
        >>> CompareFeatures().battery
        ['token_influence_sweep', 'binary_presence_effect', 'family_1d_sweep', 'weapon_sweep']
    """

    type: ClassVar[str] = "compare_features"
    evidence: ClassVar[Evidence] = Evidence.COMPARISON
    subject: ClassVar[str] = "runs"
    summary: ClassVar[str] = "Compare features by the same battery of edits, in one model and matched between models."
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("stats",)
    work: ClassVar[str] = "paribus.compare._compare_features"

    battery: list[str] = field(
        ["token_influence_sweep", "binary_presence_effect", "family_1d_sweep", "weapon_sweep"],
        choices=tuple(BATTERIES),
        help="Experiment types whose effects make up a feature's vector; edits that both of two features have count.",
    )
    least_entries: int = field(6, low=3, help="Fewest edits in common for two features to be compared.")
    n_null: int = field(200, low=0, help="Matchings of vectors with their entries exchanged, the null of a matching.")
    where: list[str] = field([], help="Conditions on the runs: seed=0..7, tag.sweep=ID, started>=2026-11-20.")
    runs: list[str] = field(
        [],
        science=False,
        help="Ids of the runs to compare (that of a study's job stands for its steps); empty: all of the study.",
    )

    def check(self) -> None:
        """Check the battery and the restriction.

        Raises:
            ConfigError: If a type is named twice, or none.
        """
        if not self.battery or len(set(self.battery)) < len(self.battery):
            raise ConfigError("CompareFeatures.battery: name each type once, at least one")
        check_where("CompareFeatures", self.where)

    def types(self) -> tuple[str, ...]:
        """Return the types of the runs that are compared."""
        return (*self.battery, *CORES, *CHECKS)

    def reads(self) -> tuple[str, ...]:
        """Return the types of which there must be at least one run."""
        return tuple(self.battery)
