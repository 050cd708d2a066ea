"""Populations of features of one kind, read together: the feature under study and those its nulls are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from paribus.models.nets.sae import SparseAutoencoder


class Population(Protocol):
    """All features of one kind at one site."""

    @property
    def site(self) -> str:
        """Where the vectors are read; empty for the model's output."""

    @property
    def size(self) -> int:
        """Number of features."""

    def read(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return activation and pre-activation ``[n, len(rows)]`` of some features, from ``x [n, d]`` at the site."""


@dataclass
class Latents:
    """The features of a sparse autoencoder."""

    sae: SparseAutoencoder
    site: str

    @property
    def size(self) -> int:
        """Number of features."""
        return self.sae.n_features

    def read(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return f and z ``[n, len(rows)]``; only those encoder rows are computed."""
        return self.sae.encode(x, rows)


@dataclass
class Units:
    """Single units: activation and pre-activation are the value itself."""

    size: int
    site: str

    def read(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the units ``[n, len(rows)]`` twice."""
        z = x[:, rows]
        return z, z


@dataclass
class Directions:
    """Projections on unit vectors; row 0 is the direction under study."""

    vectors: Tensor
    site: str

    @property
    def size(self) -> int:
        """Number of directions."""
        return len(self.vectors)

    def read(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the projections ``[n, len(rows)]`` twice."""
        z = x @ self.vectors[rows].to(x).T
        return z, z


@dataclass
class Logits:
    """The model's outputs, one for each token.

    Attributes:
        tokens: Ids of the tokens that make the population.
        against_others: Whether the mean of all other logits is taken off (the margin).
        probability: Whether the activation is the sigmoid of the logit.
    """

    tokens: Tensor
    against_others: bool = False
    probability: bool = False
    site: str = ""

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.tokens)

    def read(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return activation and logit (or margin) ``[n, len(rows)]`` from logits ``[n, V]``."""
        z = x[:, self.tokens.to(x.device)[rows]]
        if self.against_others:
            z = z - (x.sum(1, keepdim=True) - z) / (x.shape[1] - 1)
        return (torch.sigmoid(z) if self.probability else z), z


@dataclass(frozen=True)
class Reader:
    """The feature under study.

    Attributes:
        name: What to call it, e.g. ``latent 12``.
        population: All features of its kind.
        row: Its place among them.
        latent: Its id in the autoencoder; None for other kinds.
    """

    name: str
    population: Population
    row: int
    latent: int | None = None

    @property
    def site(self) -> str:
        """Where it is read; empty for the model's output."""
        return self.population.site
