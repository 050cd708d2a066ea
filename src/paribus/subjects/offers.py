"""What a data set offers (splits, domains, classes), to be compared with the requirements of experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Offers:
    """The splits and domains of a data set.

    Attributes:
        splits: Number of rows by split, of the splits that are there.
        domains: Names of the domains that occur in each split.
        rendering: Whether the same content can be shown in another domain's style.
        n_classes: Number of classes.

    Example:
        >>> Offers({"train": 80, "id_val": 20}, {"train": ("a", "b"), "id_val": ("a", "b")}).several_domains("train")
        True
    """

    splits: Mapping[str, int]
    domains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rendering: bool = False
    n_classes: int = 0

    def several_domains(self, split: str) -> bool:
        """Return whether a split is there and holds two domains or more."""
        return len(self.domains.get(split, ())) > 1


@runtime_checkable
class Offering(Protocol):
    """A data set that says what it has to offer."""

    @property
    def offers(self) -> Offers:
        """Its splits and domains."""
