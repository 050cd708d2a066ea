"""Comparison of features within and between models: shared effects, drivers and stability."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from paribus.compare.restricted import Restricted
from paribus.config import catalogue
from paribus.errors import ConfigError, nearest
from paribus.results.battery import Battery
from paribus.spec import field

CORES = {"minimal_cores": ("cores", "core"), "cores": ("cores", "core")}
CHECKS = ("split_half", "shuffle_null")
EFFECTS = "effects"
MATCHING = "match_features"
"""The type whose runs match the latents of two models."""


@functools.cache
def batteries() -> Mapping[str, Battery]:
    """Return where each installed experiment type keeps its effects on a feature."""
    found = (option.load() for option in catalogue.options("experiment"))
    return {cls.type: cls.battery for cls in found if getattr(cls, "battery", None) is not None}


@dataclass(frozen=True)
class CompareFeatures(Restricted):
    """Compare features by what the same battery of interventions does to each.

    A feature's effects are one vector over all edits of the battery. Features of one model are correlated with each
    other; those of two models (or of two autoencoders of one) are matched one to one by the correlation of their
    vectors, with matches of vectors with permuted entries as null; or as runs of ``match_features`` matched their
    latents, with random pairs of the same features as null. For each model: the share of features with an established
    driver, how many features each factor drives, and the share of passed stability checks; over models of one training
    condition, how much these numbers vary.

    Example:
        >>> CompareFeatures().least_entries
        6
    """

    type: ClassVar[str] = "compare_features"
    summary: ClassVar[str] = "Compare features by the same battery of edits, in one model and matched between models."
    version: ClassVar[int] = 3
    needs: ClassVar[tuple[str, ...]] = ("stats",)

    edits_of: list[str] = field(
        [],
        once=0,
        help="Experiment types whose effects make up a feature's vector; edits that both of two features have count. "
        "Empty: all types that keep effects on a feature.",
    )
    least_entries: int = field(6, low=3, help="Fewest edits in common for two features to be compared.")
    n_null: int = field(200, low=0, help="Matchings of vectors with their entries exchanged, the null of a matching.")
    match_by: str = field(
        EFFECTS,
        choices=(EFFECTS, "activation", "decoder"),
        unstated=EFFECTS,
        help="How features of two models are matched: effects, by the correlation of their effects; activation or "
        "decoder, as the runs of match_features among these matched their latents.",
    )

    def check(self) -> None:
        """Check the battery and the restriction.

        Raises:
            ConfigError: If a type keeps no effects on a feature.
        """
        for name in self.edits_of:
            if name not in batteries():
                raise ConfigError(
                    f"CompareFeatures.edits_of: {name} keeps no effects on a feature; {nearest(name, batteries())}"
                )
        super().check()

    def types(self) -> tuple[str, ...]:
        """Return the types of the runs that are compared."""
        return (*self.named(), *CORES, *CHECKS, *([MATCHING] if self.match_by != EFFECTS else []))

    def named(self) -> tuple[str, ...]:
        """Return the types whose effects count."""
        return tuple(self.edits_of) or tuple(batteries())

    def reads(self) -> tuple[str, ...]:
        """Return the types of which there must be at least one run."""
        return self.named()
