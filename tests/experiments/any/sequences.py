"""A subject from outside the package: sequences of tokens, with a factor, units, and a small transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from paribus.errors import ConfigError
from paribus.measure import (
    ArrayCells,
    ArraySubject,
    Binding,
    Contexts,
    FactorSpec,
    InputFactor,
    InputUnits,
    stack,
)
from paribus.spec import field


class Sequences(ArraySubject):
    """Token ids ``[n, length]``; 0 is the mask."""

    name = "sequences"


class TokenAt(InputFactor):
    """Puts tokens at a position."""

    def __init__(self, ids: np.ndarray, position: int, tokens: list[int]):
        self.ids, self.position, self.tokens = ids, position, tokens
        self.name = f"token at {position}"
        self.labels = tuple(f"token {one}" for one in tokens)

    def edit(self, cells: ArrayCells) -> ArrayCells:
        changed = [cells.values[0].copy() for _ in self.tokens]
        for value, token in zip(changed, self.tokens, strict=True):
            value[..., self.position] = token
        return stack([cells.with_value(0, value) for value in changed])

    def observed(self, columns):
        shown = self.ids[columns, self.position]
        return np.array([self.tokens.index(one) if one in self.tokens else -1 for one in shown])


class Positions(InputUnits):
    """Positions, masked where they are taken away."""

    name = "positions"

    def __init__(self, length: int):
        self.names = tuple(f"position {one}" for one in range(length))

    def keep(self, cells: ArrayCells, on: np.ndarray) -> ArrayCells:
        return stack([cells.with_value(0, np.where(row, cells.values[0], 0)) for row in on])


@dataclass(frozen=True)
class Token(FactorSpec):
    """Tokens at a position."""

    subject: ClassVar[str] = "sequences"

    position: int = field(0, help="Where.")
    tokens: list[int] = field([1, 2], help="Which, the baseline first.")

    def bind(self, to: Binding) -> TokenAt:
        ids = to.executor.subject.contexts.given.tensors[0].numpy()
        if not 0 <= self.position < ids.shape[1]:
            raise ConfigError(f"experiment.factor.position={self.position}: sequences have {ids.shape[1]} positions")
        return TokenAt(ids, self.position, list(self.tokens))


@dataclass(frozen=True)
class Masked(FactorSpec):
    """Positions as units."""

    subject: ClassVar[str] = "sequences"

    def bind(self, to: Binding) -> Positions:
        return Positions(to.executor.subject.contexts.given.tensors[0].shape[1])


class Transformer(nn.Module):
    """Embeds tokens and positions, runs an encoder, reads the last position."""

    def __init__(self, n_tokens: int = 8, length: int = 5, d: int = 16, n_classes: int = 3):
        super().__init__()
        self.embed = nn.Embedding(n_tokens, d)
        self.place = nn.Parameter(torch.randn(length, d) * 0.5)
        layer = nn.TransformerEncoderLayer(d, 2, 2 * d, dropout=0.0, batch_first=True)
        self.blocks = nn.ModuleList([layer, nn.TransformerEncoderLayer(d, 2, 2 * d, dropout=0.0, batch_first=True)])
        self.head = nn.Linear(d, n_classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        h = self.embed(ids) + self.place
        for block in self.blocks:
            h = block(h)
        return self.head(h[:, -1])


def contexts(n: int = 120, length: int = 5, seed: int = 0) -> Contexts:
    """Pairs: clean sequences, and the same with another token at position 1."""
    rng = np.random.default_rng(seed)
    clean = rng.integers(1, 8, (n, length))
    clean[:, 1] = rng.integers(1, 3, n)
    corrupted = clean.copy()
    corrupted[:, 1] = 3 - clean[:, 1]
    every = np.concatenate([clean, corrupted])
    return Contexts(
        inputs=every,
        cluster=np.tile(np.arange(n) // 2, 2),
        label=every[:, 1] - 1,
        domain=every[:, 0] % 2,
        splits={"clean": np.arange(n), "corrupted": np.arange(n, 2 * n)},
        output_names=("one", "two", "three"),
    )
