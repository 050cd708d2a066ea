"""Examples cut into splits: the part that all kinds of labelled data share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from paribus.arrays import Ints
from paribus.errors import DataError, nearest
from paribus.measure import Contexts
from paribus.subjects.offers import Offers

SPLITS = ("train", "id_val", "val", "ood")
"""Training rows; held-out rows of the training domains; the rows choices are made on; the domain only reported."""
ALL = "all"
"""Domain of examples without domains."""


class InSplits:
    """Base of data whose examples are cut into splits, and have a domain each where there are domains.

    Class attributes:
        order: The splits that there can be, in the order in which they are told; empty: any, in the data's own order.
        called: What the data are called in messages.

    Attributes:
        class_names: Names of the classes.
        splits: Rows of each split.
        labels: Class of each example ``[n]``, an index into the class names; None where there are none.
        clusters: What examples share with others that are not independent of them ``[n]``.
        domains: Domain of each example ``[n]``; None where there are none.
        domain_names: Names of the domains.
        cluster_names: Names by which clusters are known in another file; empty where they have none.
        contents: Hash of what each example holds in its file ``[n]``; None where that is not known.

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
    labels: Ints | None
    clusters: Ints
    domains: Ints | None
    domain_names: tuple[str, ...]
    cluster_names: tuple[str, ...] = ()
    contents: NDArray[np.uint64] | None = None

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
        splits = {name: self.splits[name] for name in self.present}
        return offers_of(splits, self.domains, self.domain_names, self.n_classes, rendering=self.in_other_styles)

    def contexts(self, inputs: Any, **further: Any) -> Contexts:
        """Return the examples as contexts.

        Args:
            inputs: What a network is called with ``[n, ...]``.
            **further: Further fields of :class:`Contexts`.
        """
        return Contexts(
            inputs=inputs,
            cluster=self.clusters,
            label=self.labels,
            domain=self.domains,
            splits=self.splits,
            output_names=self.class_names,
            domain_names=self.domain_names,
            **further,
        )

    def rows(self, split: str) -> Ints:
        """Return the rows of a split.

        Raises:
            DataError: If there is no such split.
        """
        if split not in self.splits:
            raise DataError(f"{self.called}: no such split {split!r}; {nearest(split, self.splits)}")
        return self.splits[split]


def offers_of(
    splits: Mapping[str, Ints], domains: Ints | None, names: Sequence[str], n_classes: int, *, rendering: bool = False
) -> Offers:
    """Return what data offer.

    Args:
        splits: Rows of each split.
        domains: Domain of each example ``[n]``, an index into the names; None where there are none.
        names: Names of the domains.
        n_classes: Number of classes.
        rendering: Whether contents can be shown as another domain would show them.
    """
    there = {} if domains is None else {name: np.unique(domains[rows]) for name, rows in splits.items()}
    told = {name: tuple(names[k] for k in codes) for name, codes in there.items()}
    return Offers({name: len(rows) for name, rows in splits.items()}, told, rendering, n_classes)


def splits_by_name(said: NDArray[Any], what: str) -> dict[str, Ints]:
    """Return the rows of each split there is.

    Args:
        said: The split of each row by name ``[n]``.
        what: What says so, for messages.

    Raises:
        DataError: If a name is no split, or no row is to be trained on.

    Example:
        >>> splits_by_name(np.array(["ood", "train", "train"]), "split")["train"].tolist()
        [1, 2]
    """
    for name in sorted(set(said.tolist())):
        if name not in SPLITS:
            raise DataError(f"{what} has {name!r}; {nearest(name, SPLITS)}")
    rows = {split: np.flatnonzero(said == split) for split in SPLITS}
    if not len(rows["train"]):
        raise DataError(f"{what} has no train")
    return {split: some for split, some in rows.items() if len(some)}


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


def check_classes(called: str, labels: Ints, names: Sequence[str]) -> None:
    """Check that training examples are of two classes.

    Args:
        called: What the data are called.
        labels: Class of each training example ``[n]``.
        names: Names of the classes.

    Raises:
        DataError: If they are all of one.
    """
    present = np.unique(labels)
    if len(present) < 2:
        only = names[int(present[0])]
        raise DataError(f"{called}: the training split has the single class {only!r}; a classifier needs at least two")
