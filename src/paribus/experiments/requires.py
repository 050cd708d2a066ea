"""What an experiment type needs of a data set, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paribus.subjects.offers import Offers

HELD_OUT = ("id_val", "val", "ood")
"""The splits that something can be reported on, besides the training rows themselves."""
NAMES = {"train": "training split", "id_val": "split id_val", "val": "split val", "ood": "split ood"}


@dataclass(frozen=True)
class Requires:
    """The needs of an experiment type.

    Attributes:
        splits: Splits that must be there.
        any_of: Splits of which one must be there.
        domains_in: Splits that must be there and hold two domains.
        labels: Whether every example must have the label of a class.
        rendering: Whether the same content must be shown in another domain's style.
        chosen: Fields of the type that name splits: what they name by default is narrowed to the splits that are
            there; what a user names must be there.
        classes: Fields of the type that name a class by its number.

    Example:
        >>> from paribus.subjects.offers import Offers
        >>> Requires(domains_in=("train",)).unmet(Offers({"train": 9}, {"train": ("all",)}))
        ('a training split with two domains', "the single domain 'all' there")
    """

    splits: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    domains_in: tuple[str, ...] = ()
    labels: bool = False
    rendering: bool = False
    chosen: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether a data set can lack something that is needed."""
        return bool(self.splits or self.any_of or self.domains_in or self.rendering)

    def unmet(self, offers: Offers) -> tuple[str, str] | None:
        """Return the first unmet requirement of a data set, and what it has instead; None if it meets all."""
        there = ", ".join(offers.splits)
        if self.labels and not offers.n_classes:
            return "the label of a class for every example", "none"
        for split in self.splits:
            if split not in offers.splits:
                return f"a {NAMES[split]}", there
        if self.any_of and not any(split in offers.splits for split in self.any_of):
            return f"one of the splits {', '.join(self.any_of)}", there
        for split in self.domains_in:
            need = f"a {NAMES[split]} with two domains"
            if split not in offers.splits:
                return need, there
            if not offers.several_domains(split):
                return need, f"the single domain {next(iter(offers.domains.get(split, ())), 'all')!r} there"
        if self.rendering and not offers.rendering:
            return (
                "contents that can be shown in another domain's style",
                "none; only generated ones can, such as data=digits_scanners",
            )
        return None
