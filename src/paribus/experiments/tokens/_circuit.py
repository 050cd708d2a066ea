"""What the experiments on circuits of modular addition share: the pairs, the embedding, and edits of one circle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from paribus.arrays import Floats
from paribus.engine.interventions import AffineErase, ProjectOut
from paribus.errors import ConfigError, DataError
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.tokens._circles import Circles
from paribus.subjects.tokens.circuits import (
    Circle,
    Components,
    all_pairs,
    circles_of_components,
    circles_of_frequencies,
)
from paribus.subspace.bases import orthonormal_basis

AUTO = "auto"
LEAST_NUMBERS = 5
"""With fewer there are no two circles to tell apart."""
COMPLETE = "none: these are all inputs there are; infer over trainings"


def n_numbers(setup: NetworkSetup) -> int:
    """Return p.

    Raises:
        DataError: If the contexts are not all pairs of numbers in their order, or the answers are not sums modulo p.
    """
    data = setup.data
    p = int(data.n_tokens)
    if p < LEAST_NUMBERS:
        raise DataError(f"data.p={p}: there is one circle alone; circuits are read from p={LEAST_NUMBERS} on")
    if p % 2 == 0 or not data.complete or data.n_classes != p or not torch.equal(data.ids, all_pairs(p)):
        raise DataError("data: circuits of modular addition are read on all pairs of an odd p (data=modular_addition)")
    return p


def embedding_of(setup: NetworkSetup, name: str) -> str:
    """Return the name of the module that embeds the numbers.

    Args:
        setup: Has the network.
        name: Its name, or ``auto`` for the only embedding of as many rows as there are numbers.

    Raises:
        ConfigError: If there is none of that name and size, or several where none is named.
    """
    p = n_numbers(setup)
    found: list[str] = [
        each
        for each, module in setup.network.named_modules()
        if isinstance(module, nn.Embedding) and module.num_embeddings == p
    ]
    if name == AUTO and len(found) == 1:
        return found[0]
    if name in found:
        return name
    raise ConfigError(
        f"experiment.embedding={name}: the network has these embeddings of {p} numbers: {', '.join(found) or 'none'}"
    )


@dataclass(frozen=True, eq=False)
class Embedded:
    """The embedding of one network and the circles in it.

    Attributes:
        vectors: The embedding ``[p, d]``.
        components: Its principal components.
        circles: Its circles, the largest first.
    """

    vectors: Floats
    components: Components
    circles: list[Circle]

    @classmethod
    def of(cls, network: nn.Module, name: str, how: Circles) -> Embedded:
        """Read the embedding off a network, and find its circles as the experiment says."""
        module: Any = network.get_submodule(name)
        vectors: Floats = module.weight.detach().double().cpu().numpy()
        components = Components.of(vectors)
        if how.circles == "components":
            return cls(vectors, components, circles_of_components(components, least_power=how.least_power))
        return cls(vectors, components, circles_of_frequencies(vectors, least_times=how.least_times))

    def basis(self, some: list[Circle]) -> Floats:
        """Return an orthonormal basis ``[d, r]`` of the planes of some circles."""
        return some[0].basis if len(some) == 1 else orthonormal_basis(np.concatenate([one.basis.T for one in some]))

    def removed(self, basis: Floats) -> ProjectOut:
        """Return the edit that removes a subspace around the mean embedding."""
        return ProjectOut(torch.from_numpy(basis), torch.from_numpy(self.components.mean))

    def kept(self, basis: Floats) -> AffineErase:
        """Return the edit that keeps only a subspace around the mean embedding."""
        others = np.eye(len(basis)) - basis @ basis.T
        return AffineErase(torch.from_numpy(others), torch.from_numpy(self.components.mean))
