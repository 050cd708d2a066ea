"""Examples cut into splits: the part that all kinds of labelled data share."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import ClassVar

import numpy as np

from paribus.arrays import Ints
from paribus.errors import DataError, nearest
from paribus.subjects.offers import Offers


class InSplits:
    """Base of data whose examples are cut into splits, and have a domain each where there are domains.

    Class attributes:
        order: The splits that there can be, in the order in which they are told; empty: any, in the data's own order.
        called: What the data are called in messages.

    Example:
        >>> from paribus.subjects.tokens.data import modular_addition
        >>> data = modular_addition(5, 0.6, seed=0)
        >>> data.present, len(data.rows("train")), data.offers.n_classes
        (('train', 'id_val'), 15, 5)
    """

    order: ClassVar[tuple[str, ...]] = ()
    called: ClassVar[str]

    class_names: tuple[str, ...]
    splits: Mapping[str, Ints]
    domains: Ints | None
    domain_names: tuple[str, ...]

    @property
    def present(self) -> tuple[str, ...]:
        """The splits that are there."""
        return tuple(name for name in self.order or self.splits if name in self.splits)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def in_other_styles(self) -> bool:
        """Whether its contents can be shown as another domain would show them."""
        return False

    @property
    def offers(self) -> Offers:
        """What the needs of experiments are compared with."""
        domains: dict[str, tuple[str, ...]] = {}
        if self.domains is not None:
            there = {name: np.unique(self.domains[self.splits[name]]) for name in self.present}
            domains = {name: tuple(self.domain_names[k] for k in codes) for name, codes in there.items()}
        sizes = {name: len(self.splits[name]) for name in self.present}
        return Offers(sizes, domains, self.in_other_styles, self.n_classes)

    def rows(self, split: str) -> Ints:
        """Return the rows of a split.

        Raises:
            DataError: If there is no such split.
        """
        if split not in self.splits:
            raise DataError(f"{self.called}: no such split {split!r}; {nearest(split, self.splits)}")
        return self.splits[split]


def check_lengths(called: str, labels: Sized, **beside: Sized) -> None:
    """Check that there are as many of everything as labels.

    Raises:
        DataError: If not.

    Example:
        >>> check_lengths("table", [0, 1], domains=[0, 0])
    """
    wrong = {name: len(part) for name, part in beside.items() if len(part) != len(labels)}
    if wrong:
        raise DataError(f"{called}: {len(labels)} labels, but {', '.join(f'{v} {k}' for k, v in wrong.items())}")


def check_splits(data: InSplits, what: str) -> None:
    """Check that splits have known names and examples, with something to train on.

    Raises:
        DataError: If a split is unknown or empty, or there is none to train on.
    """
    for name, rows in data.splits.items():
        if name not in data.order:
            raise DataError(f"{data.called}: no such split {name!r}; {nearest(name, data.order)}")
        if not len(rows):
            raise DataError(f"{data.called}: the split {name!r} has no {what}")
    if "train" not in data.splits:
        raise DataError(f"{data.called}: no split train; it has {', '.join(data.splits) or 'none'}")


def check_classes(data: InSplits, labels: Ints) -> None:
    """Check that the training split has two classes.

    Raises:
        DataError: If it has one.
    """
    present = np.unique(labels[data.splits["train"]])
    if len(present) < 2:
        only = data.class_names[int(present[0])]
        raise DataError(
            f"{data.called}: the training split has the single class {only!r}; a classifier needs at least two"
        )
