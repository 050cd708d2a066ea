"""Sequences of token ids with a right answer and a cluster each, cut into splits."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from paribus import seeds
from paribus.arrays import Ints
from paribus.engine.given import Given
from paribus.errors import DataError
from paribus.measure.contexts import complete_note
from paribus.subjects.in_splits import InSplits
from paribus.subjects.tokens.circuits import all_pairs, answers

SPLITS = ("train", "id_val")
"""Sequences that are learned from, and held-out ones."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Prediction targets of a language model: the right token after some positions of each sequence.

    Attributes:
        positions: After which positions ``[n, t]``, from 0; -1 where a sequence has fewer.
        ids: The right token there ``[n, t]``.
        against: Tokens that the right one is compared with in a logit difference ``[n, w]``, -1 where there are fewer;
            None: with the mean over all tokens.

    Example:
        >>> Targets(np.array([[2, 3]]), np.array([[7, 9]])).positions.shape
        (1, 2)
    """

    positions: Ints
    ids: Ints
    against: Ints | None = None

    def parts(self) -> tuple[Ints, ...]:
        """Return the arrays."""
        return (self.positions, self.ids, *(() if self.against is None else (self.against,)))


@dataclass(frozen=True, eq=False)
class TokenData(InSplits):
    """Sequences of equal length, ready to be trained on and experimented with.

    Attributes:
        ids: Token ids ``[n, length]``.
        labels: The right answer of each sequence ``[n]``, an index into ``class_names``; None for language models,
            which are asked by ``targets``.
        clusters: What sequences share with others that are not independent of them ``[n]``.
        class_names: Names of the answers.
        splits: Rows of each split.
        digest: Hash of all of it.
        n_tokens: How many different tokens there are.
        complete: Whether these are all sequences there are, so that nothing is sampled.
        notes: Warnings that every result on them carries.
        mask: Which tokens are read, the others being padding ``[n, length]``; None: all.
        targets: What a language model is asked.
        sink: Whether the first position is left out of what is pooled over positions: language models park attention
            there, and its values are a hundred times as large.
        control: The same sequences without what makes them special (a repeat) ``[n, length]``, if any.
        pairs: The clean and the corrupted sequence of each pair ``[m, 2]``; None where sequences are single.
        positions: Positions that have a name, of each sequence ``[n, w]``; the last one again where it has fewer.
        domains: Domain of each sequence ``[n]``, an index into ``domain_names``; None where there are none.
        domain_names: Names of the domains.
        cluster_names: Names of the clusters, by which sequences of two files are known to be of one patient.
        contents: Hash of what each sequence was in its file ``[n]``; None where it is from none.
        renderings: By domain all sequences as it would write them: ids and mask ``[n, length]`` each; empty where that
            is not known.
        paired_class: For each training domain the class that goes with it there, None where none does; empty where that
            is not known.

    Example:
        >>> ids = torch.tensor([[0, 1], [1, 1]])
        >>> splits = {"train": np.array([0]), "id_val": np.array([1])}
        >>> data = TokenData(ids, np.array([1, 0]), np.arange(2), ("0", "1"), splits, n_tokens=2)
        >>> data.provided(), list(data.offers.splits)
        ({'n_tokens': 2, 'length': 2, 'n_classes': 2}, ['train', 'id_val'])
    """

    subject: ClassVar[str] = "tokens"
    called: ClassVar[str] = "tokens"

    ids: torch.Tensor
    labels: Ints | None
    clusters: Ints
    class_names: tuple[str, ...]
    splits: Mapping[str, Ints]
    n_tokens: int
    digest: str = ""
    complete: bool = False
    notes: tuple[str, ...] = ()
    mask: torch.Tensor | None = None
    targets: Targets | None = None
    sink: bool = False
    control: torch.Tensor | None = None
    pairs: Ints | None = None
    positions: Mapping[str, Ints] = field(default_factory=dict)
    domains: Ints | None = None
    domain_names: tuple[str, ...] = ()
    cluster_names: tuple[str, ...] = ()
    contents: NDArray[np.uint64] | None = None
    renderings: Mapping[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    paired_class: Mapping[int, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the parts fit together, and hash them where no hash is given.

        Raises:
            DataError: If lengths differ, a split is empty, or a named position or a pair does not exist.
        """
        n = len(self.ids)
        beside = {"labels": self.labels, "clusters": self.clusters, "mask": self.mask, "control": self.control}
        beside |= {"domains": self.domains}
        sizes = {name: len(part) for name, part in beside.items() if part is not None}
        if self.ids.ndim != 2 or self.ids.is_floating_point() or any(size != n for size in sizes.values()):
            raise DataError(f"tokens: ids of shape {tuple(self.ids.shape)}, {sizes}")
        _check_range(self.ids, self.n_tokens, "ids")
        if self.targets is not None:
            _check_targets(self.targets, n, self.ids.shape[1], self.n_tokens)
        for name, rows in self.splits.items():
            if not len(rows):
                raise DataError(f"tokens: the split {name!r} has no sequence")
        for name, table in self.positions.items():
            if table.ndim != 2 or len(table) != n or not 0 <= table.min() <= table.max() < self.ids.shape[1]:
                raise DataError(f"tokens: positions named {name!r} of shape {table.shape} do not fit {n} sequences")
        if self.pairs is not None and sorted(self.pairs.ravel().tolist()) != sorted(set(self.pairs.ravel().tolist())):
            raise DataError("tokens: a sequence is in two pairs")
        if not self.digest:
            hashed = hashlib.sha256(f"{self.class_names}{self.n_tokens}{self.complete}".encode())
            asked = () if self.targets is None else self.targets.parts()
            parts = [self.ids, self.labels, self.clusters, *self.splits.values(), *asked]
            parts += [self.mask, self.control, self.pairs, *self.positions.values()]
            hashed.update("".join(self.positions).encode())
            if self.domains is not None:
                hashed.update(f"{self.domain_names}{self.cluster_names}".encode())
                parts += [self.domains, *itertools.chain(*self.renderings.values())]
            for part in (np.asarray(each) for each in parts if each is not None):
                hashed.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
            object.__setattr__(self, "digest", hashed.hexdigest())

    @property
    def inputs(self) -> torch.Tensor:
        """The ids ``[n, length]``."""
        return self.ids

    @property
    def in_other_styles(self) -> bool:
        """Whether its sequences are known as another domain would write them."""
        return bool(self.renderings)

    def provided(self) -> dict[str, int]:
        """Return what a function that makes a network for these sequences can be given, by argument."""
        return {"n_tokens": self.n_tokens, "length": self.ids.shape[1], "n_classes": self.n_classes}

    @property
    def given(self) -> Given:
        """What a network is called with: the ids, and where sequences are padded what is read of them."""
        if self.mask is None:
            return Given((self.ids,), (None,))
        mask = self.mask.long()
        if mask[:, 0].all():
            return Given((self.ids, mask), (None, "attention_mask"))
        places = (mask.cumsum(1) - 1).clamp(min=0)  # padded on the left: counted from the first token that is read
        return Given((self.ids, mask, places), (None, "attention_mask", "position_ids"))

    def take(self, rows: Ints) -> torch.Tensor | Given:
        """Return the ids of ``rows`` ``[len(rows), length]``, with a mask where sequences are padded."""
        return self.ids[rows] if self.mask is None else self.given.take(torch.from_numpy(np.asarray(rows)))


def _check_range(ids: torch.Tensor, n_tokens: int, what: str) -> None:
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < n_tokens:
        raise DataError(f"tokens: {what} from {int(ids.min())} to {int(ids.max())}; there are {n_tokens} tokens")


def _check_targets(targets: Targets, n: int, length: int, n_tokens: int) -> None:
    positions, ids = targets.positions, targets.ids
    if positions.ndim != 2 or positions.shape != ids.shape or len(positions) != n:
        raise DataError(f"tokens: targets of shapes {positions.shape} and {ids.shape} for {n} sequences")
    asked = positions >= 0
    if not asked.any(axis=1).all():
        raise DataError(f"tokens: the sequence {int(np.flatnonzero(~asked.any(axis=1))[0])} has no target")
    if positions.max() >= length:
        raise DataError(f"tokens: a target is after position {positions.max()}; sequences have {length} tokens")
    _check_range(torch.from_numpy(np.ascontiguousarray(ids[asked])), n_tokens, "targets")
    if targets.against is None:
        return
    if len(targets.against) != n:
        raise DataError(f"tokens: {len(targets.against)} rows of tokens that answers are compared with, {n} sequences")
    compared = targets.against >= 0
    bare = np.flatnonzero(~compared.any(axis=1))
    if len(bare):  # a bare logit among differences
        raise DataError(
            f"tokens: the answers of {len(bare)} of {n} sequences (the first is {int(bare[0])}) are compared with "
            "nothing, the others with wrong ones; give all sequences some, or none"
        )
    _check_range(torch.from_numpy(np.ascontiguousarray(targets.against[compared])), n_tokens, "wrong answers")


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
        notes=(complete_note(len(pairs), "pairs"),),
    )
