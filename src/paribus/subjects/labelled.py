"""What a classifier can be trained on, whatever kind of data it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

    from paribus.arrays import Ints
    from paribus.engine.given import Given


@dataclass(frozen=True)
class Overlap:
    """Held-out examples of one data set that another one was trained on.

    Attributes:
        same: By split, how many are training examples themselves, or others of the same cluster.
        related: By split, how many only share a cluster with one where the trained data set itself holds out examples
            of its training clusters (patches of one slide, say).

    Example:
        >>> Overlap(same={"ood": 3}, related={}).same
        {'ood': 3}
    """

    same: Mapping[str, int]
    related: Mapping[str, int]


def not_learned(labels: Ints, names: Sequence[str], splits: Mapping[str, Ints]) -> list[str]:
    """Return what is to be said of classes that no training example has.

    Args:
        labels: Class of each example ``[n]``.
        names: Names of the classes.
        splits: Rows of each split, ``train`` among them.

    Example:
        >>> labels, splits = np.array([0, 1, 2, 0]), {"train": np.array([0, 1]), "ood": np.array([2, 3])}
        >>> not_learned(labels, ("no", "yes", "maybe"), splits)
        ['No training example has the class maybe, so it is not learned; 1 of 2 of ood have it.']
    """
    here = np.unique(np.concatenate([labels[rows] for rows in splits.values()]))
    lacking = np.setdiff1d(here, labels[splits["train"]])
    if not len(lacking):
        return []
    shown = ", ".join(names[k] for k in lacking[:8]) + (f" and {len(lacking) - 8} more" if len(lacking) > 8 else "")
    counts = {name: int(np.isin(labels[rows], lacking).sum()) for name, rows in splits.items()}
    held = ", ".join(f"{count} of {len(splits[name])} of {name}" for name, count in counts.items() if count)
    one = len(lacking) == 1
    return [
        f"No training example has the class{'' if one else 'es'} {shown}, so {'it is' if one else 'they are'} not "
        f"learned; {held} have {'it' if one else 'one of them'}."
    ]


def not_crossed(
    labels: Ints, domains: Ints, names: tuple[Sequence[str], Sequence[str]], train: Ints, *, most: int = 4
) -> list[str]:
    """Return what is to be said of training domains that lack a class which others have.

    Args:
        labels: Class of each example ``[n]``.
        domains: Domain of each example ``[n]``.
        names: Names of the domains, and of the classes.
        train: Rows of the training split.
        most: Domains that are named.

    Example:
        >>> not_crossed(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), (("A", "B"), ("no", "yes")), np.arange(4))
        ['No training example of A has the class yes: domain and class cannot be told apart there, also by weights.']
    """
    labels, domains = labels[train], domains[train]
    classes = np.unique(labels)
    lacking = {int(k): np.setdiff1d(classes, labels[domains == k]) for k in np.unique(domains)}
    lacking = {k: missing for k, missing in lacking.items() if len(missing)}
    shown = ", none of ".join(
        f"{names[0][k]} has the class{'' if len(missing) == 1 else 'es'} {', '.join(names[1][c] for c in missing[:8])}"
        for k, missing in list(lacking.items())[:most]
    )
    more = f" (and {len(lacking) - most} domains more)" if len(lacking) > most else ""
    end = "domain and class cannot be told apart there, also by weights."
    return [f"No training example of {shown}{more}: {end}"] if lacking else []


class LabelledData(Protocol):
    """Examples with a label each, cut into splits: images, the rows of a table, yours."""

    @property
    def inputs(self) -> Any:
        """What is indexed by rows and gives tensors ``[rows, ...]``; it has a ``shape``."""

    @property
    def labels(self) -> Ints:
        """Class of each example ``[n]``, an index into the class names."""

    @property
    def splits(self) -> Mapping[str, Ints]:
        """Rows of each split."""

    @property
    def digest(self) -> str:
        """Hash of what was loaded and how it was split."""

    @property
    def n_classes(self) -> int:
        """Number of classes."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for every result on them."""

    def rows(self, split: str) -> Ints:
        """Return the rows of a split; a ``DataError`` where there is none of that name."""

    def take(self, rows: Ints) -> torch.Tensor | Given:
        """Return the inputs of ``rows`` ``[len(rows), ...]``: a tensor, or all that a network is called with."""
