"""Sequences of token ids with a right answer and a cluster each, cut into splits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from paribus import seeds
from paribus.arrays import Ints
from paribus.errors import DataError, nearest
from paribus.subjects.offers import Offers
from paribus.subjects.tokens.circuits import all_pairs, answers

SPLITS = ("train", "id_val")
"""Sequences that are learned from, and held-out ones."""


@dataclass(frozen=True, eq=False)
class TokenData:
    """Sequences of equal length, ready to be trained on and experimented with.

    Attributes:
        ids: Token ids ``[n, length]``.
        labels: The right answer of each sequence ``[n]``, an index into ``class_names``.
        clusters: What sequences share with others that are not independent of them ``[n]``.
        class_names: Names of the answers.
        splits: Rows of each split.
        digest: Hash of all of it.
        n_tokens: How many different tokens there are.
        complete: Whether these are all sequences there are, so that nothing is sampled.
        notes: What every result on them must say.

    Example:
        >>> ids = torch.tensor([[0, 1], [1, 1]])
        >>> splits = {"train": np.array([0]), "id_val": np.array([1])}
        >>> data = TokenData(ids, np.array([1, 0]), np.arange(2), ("0", "1"), splits, n_tokens=2)
        >>> data.provided(), list(data.offers.splits)
        ({'n_tokens': 2, 'length': 2, 'n_classes': 2}, ['train', 'id_val'])
    """

    subject: ClassVar[str] = "tokens"

    ids: torch.Tensor
    labels: Ints
    clusters: Ints
    class_names: tuple[str, ...]
    splits: Mapping[str, Ints]
    n_tokens: int
    digest: str = ""
    complete: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts fit together, and hash them where no hash is given.

        Raises:
            DataError: If lengths differ, or a split is empty.
        """
        n = len(self.ids)
        if self.ids.ndim != 2 or self.ids.is_floating_point() or len(self.labels) != n or len(self.clusters) != n:
            raise DataError(
                f"tokens: ids of shape {tuple(self.ids.shape)}, {len(self.labels)} labels, "
                f"{len(self.clusters)} clusters"
            )
        for name, rows in self.splits.items():
            if not len(rows):
                raise DataError(f"tokens: the split {name!r} has no sequence")
        if not self.digest:
            hashed = hashlib.sha256(f"{self.class_names}{self.n_tokens}{self.complete}".encode())
            for part in (self.ids.numpy(), self.labels, self.clusters, *self.splits.values()):
                hashed.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
            object.__setattr__(self, "digest", hashed.hexdigest())

    @property
    def inputs(self) -> torch.Tensor:
        """The ids ``[n, length]``."""
        return self.ids

    @property
    def n_classes(self) -> int:
        """Number of answers."""
        return len(self.class_names)

    @property
    def offers(self) -> Offers:
        """What the needs of experiments are compared with."""
        return Offers({name: len(rows) for name, rows in self.splits.items()}, {}, False, self.n_classes)

    def provided(self) -> dict[str, int]:
        """Return what a function that makes a network for these sequences can be given, by argument."""
        return {"n_tokens": self.n_tokens, "length": self.ids.shape[1], "n_classes": self.n_classes}

    def rows(self, split: str) -> Ints:
        """Return the rows of a split.

        Raises:
            DataError: If there is no such split.
        """
        if split not in self.splits:
            raise DataError(f"tokens: no such split {split!r}; {nearest(split, self.splits)}")
        return self.splits[split]

    def take(self, rows: Ints) -> torch.Tensor:
        """Return the ids of ``rows`` ``[len(rows), length]``."""
        return self.ids[rows]


def modular_addition(p: int, train_share: float, seed: int) -> TokenData:
    """Return all pairs of numbers below ``p`` with their sum modulo ``p``; a share of them is learned from.

    Args:
        p: How many numbers there are.
        train_share: Share of the pairs in the split ``train``; the others are ``id_val``.
        seed: Draws the training pairs.

    Raises:
        DataError: If a split is empty.

    Example:
        >>> data = modular_addition(5, 0.6, seed=0)
        >>> {name: len(rows) for name, rows in data.splits.items()}
        {'train': 15, 'id_val': 10}
    """
    pairs = all_pairs(p)
    order = seeds.rng(seed, "modular_addition/split").permutation(len(pairs))
    n_train = round(train_share * len(pairs))
    return TokenData(
        ids=pairs,
        labels=answers(pairs, p).numpy(),
        clusters=np.arange(len(pairs)),
        class_names=tuple(str(number) for number in range(p)),
        splits={"train": np.sort(order[:n_train]), "id_val": np.sort(order[n_train:])},
        n_tokens=p,
        complete=True,
        notes=(
            f"population: complete. These are all {len(pairs)} pairs there are: intervals and tests over them say "
            "nothing about other inputs; compare several trainings.",
        ),
    )
