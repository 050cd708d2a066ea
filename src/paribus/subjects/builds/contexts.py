"""Contexts (partial or whole builds with a weapon) and the corpora they come from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from paribus.arrays import Bools, Floats, Ints
from paribus.errors import DataError
from paribus.spec import DataSpec, kind_of
from paribus.spec import field as spec_field
from paribus.subjects.builds.legality import legal
from paribus.subjects.builds.states import WEAPON_COLUMN, Codes, States
from paribus.subjects.builds.tokens import n_tokens
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons

REMOVAL_POWER = 1.2


@dataclass(frozen=True)
class Contexts:
    """Token sets in which something is changed.

    Attributes:
        codes: State codes ``[n, 16]`` (see :class:`States`).
        cluster: Source build of each context ``[n]``.
    """

    codes: Codes
    cluster: Ints

    def __len__(self) -> int:
        """Return the number of contexts."""
        return len(self.codes)

    @property
    def weapon(self) -> npt.NDArray[np.uint16]:
        """Weapon index of each context ``[n]``."""
        return self.codes[:, WEAPON_COLUMN]

    def states(self) -> States:
        """Return the contexts as states to edit, ``[n]``."""
        return States.of(self.codes, self.cluster)

    def rows(self, rows: Bools | Ints) -> Contexts:
        """Return some of the contexts."""
        return Contexts(self.codes[rows], self.cluster[rows])


@dataclass(frozen=True)
class Corpus:
    """A data set of builds: its contexts, the whole builds they come from, and what the codes mean.

    Attributes:
        contexts: Partial builds (or whole ones, if the data spec says so).
        builds: The whole builds, one row per source build (``contexts.cluster`` indexes its rows).
        vocabulary: Token vocabulary.
        weapons: Weapon vocabulary.
        n_rows: Rows read, bad ones included.
        bad_rows: What could not be read, by line.
        n_illegal: Contexts left out because they are not legal.
        n_empty: Contexts left out because no token is left.
        warnings: Warnings for the reader.
    """

    subject: ClassVar[str] = "builds"

    contexts: Contexts
    builds: Codes
    vocabulary: Vocabulary
    weapons: Weapons
    n_rows: int
    bad_rows: tuple[str, ...] = ()
    n_illegal: int = 0
    n_empty: int = 0
    warnings: tuple[str, ...] = field(default=())

    @property
    def digest(self) -> str:
        """SHA-256 over codes, clusters and vocabularies."""
        h = hashlib.sha256()
        h.update(np.ascontiguousarray(self.contexts.codes).tobytes())
        h.update(np.ascontiguousarray(self.contexts.cluster).tobytes())
        h.update("\n".join((*self.vocabulary.tokens, *self.weapons.names)).encode())
        return h.hexdigest()


@dataclass(frozen=True, kw_only=True)
class BuildsData(DataSpec):
    """Base of the data sets of builds: how contexts are made of whole ones."""

    subject: ClassVar[str] = "builds"
    provides: ClassVar[tuple[str, ...]] = ("tokens", "specials", "generator")

    contexts_per_build: int = spec_field(1, low=1, high=1000, help="Partial builds drawn from each build.")
    partial: bool = spec_field(True, help="Contexts are partial builds, tokens removed as in training.")
    keep_empty: bool = spec_field(False, help="Keep contexts without any token.")
    seed: int = spec_field(0, low=0, help="Seed of the corpus: of the removal of tokens, and of what is drawn.")


def corpus_of(
    spec: BuildsData,
    builds: Codes,
    vocabulary: Vocabulary,
    weapons: Weapons,
    *,
    rng: np.random.Generator,
    n_rows: int,
    bad_rows: tuple[str, ...] = (),
) -> Corpus:
    """Make contexts of whole builds: identical builds share a cluster, tokens are removed by the training rule.

    Args:
        spec: Says how.
        builds: One row per build read, ``[n, 16]``.
        vocabulary: Token vocabulary.
        weapons: Weapon vocabulary.
        rng: Draws the tokens to remove.
        n_rows: Rows read, bad ones included.
        bad_rows: What could not be read.

    Raises:
        DataError: If no context is left.
    """
    where = kind_of(type(spec)).removeprefix("data/")
    unique, cluster = np.unique(builds, axis=0, return_inverse=True)
    cluster = np.asarray(cluster, np.int64).reshape(-1)
    if spec.partial and len(builds):
        codes = np.repeat(builds, spec.contexts_per_build, axis=0)
        codes, cluster = remove_some(codes, rng), np.repeat(cluster, spec.contexts_per_build)
    else:
        codes = builds
    empty = n_tokens(codes) == 0
    wearable = legal(codes, vocabulary)
    keep = wearable & (spec.keep_empty | ~empty)
    if not keep.any():
        raise DataError(f"{where}: no context left of {len(builds)} builds read ({n_rows} rows); is the corpus empty?")
    warnings = []
    if (~wearable).any():
        warnings.append(
            f"{where}: {int((~wearable).sum())} of {len(codes)} contexts are not legal builds and were left out"
        )
    if weapons.unknown:
        used = np.unique(codes[keep, WEAPON_COLUMN])
        unknown = [weapons.names[i] for i in used if weapons.names[i] in set(weapons.unknown)]
        if unknown:
            warnings.append(f"{where}: kit unknown for {len(unknown)} weapon(s): {', '.join(unknown[:10])}")
    return Corpus(
        Contexts(codes[keep], cluster[keep]),
        unique,
        vocabulary,
        weapons,
        n_rows,
        bad_rows,
        int((~wearable).sum()),
        int((empty & wearable).sum()),
        tuple(warnings),
    )


def removal_probabilities(length: int) -> Floats:
    """Return P(remove r tokens) for r = 1..max(1, L-1) of a set of ``length``: proportional to ``r ** 1.2``.

    Example:
        >>> removal_probabilities(3).shape, float(removal_probabilities(3).sum())
        ((2,), 1.0)
    """
    weights = np.arange(1, max(1, length - 1) + 1, dtype=np.float64) ** REMOVAL_POWER
    return np.asarray(weights / weights.sum())


def remove_some(codes: Codes, rng: np.random.Generator) -> Codes:
    """Remove tokens as in training: r of L at random, r drawn by :func:`removal_probabilities`, one by one.

    Args:
        codes: Whole sets ``[n, 16]``.
        rng: Source of randomness.

    Returns:
        Partial sets ``[n, 16]``; a set of one token becomes empty.
    """
    out = np.empty_like(codes)
    for start in range(0, len(codes), 16_384):
        out[start : start + 16_384] = _remove_some(codes[start : start + 16_384], rng)
    return out


def _remove_some(codes: Codes, rng: np.random.Generator) -> Codes:
    bits = np.unpackbits(
        np.ascontiguousarray(codes[:, :WEAPON_COLUMN].astype("<u2")).view(np.uint8), axis=1, bitorder="little"
    )
    lengths = bits.sum(1, dtype=np.int64)
    removed = np.zeros(len(codes), np.int64)
    for length in np.unique(lengths[lengths > 0]):
        rows = np.flatnonzero(lengths == length)
        p = removal_probabilities(int(length))
        removed[rows] = rng.choice(np.arange(1, len(p) + 1), size=len(rows), p=p)
    keys = np.where(bits == 1, rng.random(bits.shape, dtype=np.float32), np.float32(2.0))
    kept = bits == 1
    for start in range(0, len(codes), 2048):  # what sorting holds is four times as large as the keys
        some = slice(start, start + 2048)
        order = np.argsort(keys[some], axis=1)
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(bits.shape[1])[None, :], axis=1)
        kept[some] &= ranks >= removed[some, None]
    packed = np.packbits(kept, axis=1, bitorder="little").view("<u2")
    out = codes.copy()
    out[:, :WEAPON_COLUMN] = packed
    return out
