"""Clean and corrupted contexts: at which places the other context's value restores or destroys the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from paribus.errors import ConfigError
from paribus.experiments.any.generic import AUTO, Paired
from paribus.experiments.base import NECESSITY, SUFFICIENCY
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.endpoint import Endpoint
from paribus.spec import field

DENOISE, NOISE = "denoise", "noise"
PARTS = ("heads", "attn", "mlp", "resid_pre", "resid_post")
EACH = "each"
CHOICES = ("direction", "level")


TOGETHER = (
    "the first {k} places together ({members}) bring {share:.2f} of the whole difference [{share_low:.2f}, "
    "{share_high:.2f}]"
)
BESIDE_SUM = (
    "the effects of each of these {k} alone add up to {sum_share:.2f} of it; together the {readout} differs from that "
    "sum by {beyond_sum:signed} [{beyond_sum_low:signed}, {beyond_sum_high:signed}]"
)
KNOWN = tuple(text.partition(" [")[0] for text in (TOGETHER, BESIDE_SUM))
"""The same for a complete population, where there is no inference and so no interval."""


def _largest(way: str) -> dict[str, str]:
    """Return which row of ``k_sweep`` is told of a direction."""
    return {"direction": way, "level": "{largest_set}"}


@dataclass(frozen=True, kw_only=True)
class ActivationPatching(Paired):
    """Give each context of a pair the value that its counterpart has at a place, in both directions.

    ``denoise`` puts values of the clean context into the corrupted one: places that restore the answer are sufficient
    for it. ``noise`` puts values of the corrupted one into the clean one: places that destroy it are necessary. Each
    effect is reported with the total difference between the two contexts and a null of unrelated donors.

    Example:
        >>> ActivationPatching(part="resid_post", positions=["subject", "end"]).directions
        ['denoise', 'noise']
    """

    type: ClassVar[str] = "activation_patching"
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "Values of the other context of a pair at every layer, head or position, both ways."
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "stats")
    may_lack: ClassVar[tuple[str, ...]] = ()
    declares: ClassVar[tuple[Endpoint, ...]] = (
        Endpoint(
            *("activation_patching_effect", "effect of a patch", "patches", "mean_delta", "ci_low", "ci_high"),
            unit="readout",
            zero=True,
            choices=CHOICES,
        ),
        Endpoint(
            *("activation_patching_share", "share of the whole difference that a patch brings", "patches", "share"),
            *("share_low", "share_high"),
            unit="share",
            zero=True,
            choices=CHOICES,
        ),
    )
    bears_on: ClassVar[tuple[str, ...]] = (NECESSITY, SUFFICIENCY)
    tells: ClassVar[tuple[Told, ...]] = (
        *(
            Effects(
                *("patches", "{level}", f"{way}, change of {{readout}} by a patch"),
                rows={"direction": way},
                null="{null}",
            )
            for way in (DENOISE, NOISE)
        ),
        *(
            Sentence(f"{way.capitalize()}, {text} (k_sweep).", table="k_sweep", rows=_largest(way))
            for way in (DENOISE, NOISE)
            for text in (TOGETHER, BESIDE_SUM)
        ),
        *(
            Sentence(f"{way.capitalize()}, {text} (k_sweep).", "population", table="k_sweep", rows=_largest(way))
            for way in (DENOISE, NOISE)
            for text in KNOWN
        ),
        Sentence(
            "Over {n} heads, where they look (prefix matching) and the size of what they bring have a rank correlation "
            "of {rank_correlation:signed} ({direction}; score_and_effect).",
            table="score_and_effect",
        ),
    )

    part: str = field(
        "heads", choices=PARTS, help="What is patched in every layer: each head, or what is added or held."
    )
    layers: list[int] = field([], once=0, low=0, help="Numbers of the layers; empty: all.")
    positions: list[str] = field(
        [],
        once=0,
        help="Positions that are patched one by one, by number or name (subject, end); each: every one; empty: of "
        "heads, attn and mlp all together, of the stream the named ones of the data, or every one without names.",
    )
    places: list[str] = field([], once=0, help="Places instead of all layers, a row each, as in L5H1@end.")
    groups: list[str] = field([], once=0, help="Rows of the table that are also patched together, as in 'L5H1 & L6H9'.")
    directions: list[str] = field([DENOISE, NOISE], once=1, choices=(DENOISE, NOISE), help="Which of the two.")
    ks: list[int] = field(
        [1, 2, 4, 8],
        once=0,
        low=1,
        help="How many of the first are patched together; the ranking is made on pairs that are not reported. Empty: "
        "none, and no ranking.",
    )
    n_donors: int = field(20, low=0, help="Draws of unrelated donors (at most stats.n_null).")
    n_beside: int = field(8, low=0, help="Rows that have that null, the first of the ranking; 0: all.")

    def check(self) -> None:
        """Refuse lists that exclude each other, and what cannot be read."""
        super().check()
        if self.places and (self.layers or self.positions):
            raise ConfigError("ActivationPatching.places: names places; leave layers and positions out")
        if self.place != AUTO:
            raise ConfigError("ActivationPatching.place: say what in experiment.part, or name experiment.places")
        for position in self.positions:
            if not re.fullmatch(r"-?\d+|[A-Za-z_][\w.]*", position):
                raise ConfigError(f"ActivationPatching.positions: a number or a name, got {position!r}")
        for group in self.groups:
            if len(self.members(group)) < 2 or not all(self.members(group)):
                raise ConfigError(f"ActivationPatching.groups: joins rows by &, as in 'L5H1 & L6H9', got {group!r}")

    @property
    def fits(self) -> bool:
        """Whether there is a ranking, which is made on pairs that are not reported."""
        return bool(self.ks)

    @staticmethod
    def members(group: str) -> list[str]:
        """Return the rows that a group joins.

        Example:
            >>> ActivationPatching.members("L5H1 & L6H9@end")
            ['L5H1', 'L6H9@end']
        """
        return [one.strip() for one in group.split("&")]
