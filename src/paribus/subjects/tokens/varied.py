"""Token sequences with another token at a position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Ints
from paribus.errors import ConfigError
from paribus.measure import ArrayCells, Binding, InputFactor, stack
from paribus.subjects.tokens.factors import TokenAt
from paribus.subjects.tokens.subject import TokenSubject


@dataclass(frozen=True, eq=False)
class Tokens(InputFactor):
    """Tokens at a position.

    Attributes:
        ids: The sequences ``[n, length]``.
        position: Where, from 0.
        tokens: Which, the baseline first.
        name: What it is called.
        labels: The tokens as text.
    """

    ids: Ints
    position: int
    tokens: tuple[int, ...]
    name: str
    labels: tuple[str, ...]

    def edit(self, cells: ArrayCells) -> ArrayCells:
        """Return cells with every token at the position."""
        at_levels = []
        for token in self.tokens:
            ids = cells.values[0].copy()
            ids[..., self.position] = token
            at_levels.append(cells.with_value(0, ids))
        return stack(at_levels)

    def observed(self, columns: Ints) -> Ints:
        """Return the level that sequences have; -1 where it is none of them."""
        same = self.ids[columns, self.position][None] == np.array(self.tokens)[:, None]
        return np.where(same.any(axis=0), same.argmax(axis=0), -1).astype(np.int64)


def bind(factor: TokenAt, to: Binding) -> Tokens:
    """Return the tokens of sequences.

    Raises:
        ConfigError: If these are no sequences, one of them has no such position, or there is no such token.
    """
    subject = to.executor.subject
    if not isinstance(subject, TokenSubject):
        raise ConfigError(f"experiment.factor: token_at is of token sequences; these are {subject.name}")
    ids, n_tokens = subject.data.ids.numpy().astype(np.int64), subject.data.n_tokens
    refused = subject.refused_position(factor.position)
    if refused:
        raise ConfigError(f"experiment.factor.position={factor.position}: {refused}")
    if factor.tokens and max(factor.tokens) >= n_tokens:
        raise ConfigError(f"experiment.factor.tokens: there are {n_tokens}, from 0 on, got {max(factor.tokens)}")
    spread = np.unique(np.linspace(0, n_tokens - 1, min(factor.most, n_tokens)).round().astype(int)).tolist()
    tokens = tuple(factor.tokens or spread)
    return Tokens(
        ids, factor.position % ids.shape[1], tokens, f"token at {factor.position}", tuple(str(one) for one in tokens)
    )
