"""Patch along a direction, and along the part of it that the network reads, to tell an illusion from a mechanism.

A direction may be the sum of a component that differs between contexts but is not read by the next layer and one that
is read but does not differ. A patch along it then changes the second by the difference in the first, and has an effect
that never occurs in the network itself (Makelov, Lange and Nanda 2023, arXiv 2311.17030). Patching only the part that
is read then has no effect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from paribus.arrays import Floats, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.replacements import Graft
from paribus.engine.sites import Site
from paribus.factors import _directions, _patch, spec
from paribus.factors._patch import Patches
from paribus.measure.binding import Binding
from paribus.measure.executor import Executor
from paribus.subspace.bases import orthonormal_basis

READ, UNREAD = "the part that is read", "the part that is not read"
LEAST_PART = 1e-6
"""A part of a unit vector that is shorter than this counts as absent."""


@dataclass(frozen=True, eq=False)
class AlongPatches(Patches):
    """A patch along one direction.

    Attributes:
        direction: Finds it on the contexts fitted on.
        basis: The unit vector ``[k, 1]``, once it is found.
        along: What is patched: the direction, or which part of it.
    """

    direction: _directions.Moves | None = None
    basis: Floats | None = None
    along: str = ""

    def parts(self, executor: Executor, rows: Ints) -> tuple[Patches, ...]:
        """Return the patch along the direction of contexts ``rows``, and along its parts where it has two."""
        assert self.direction is not None
        fitted = self.direction.fit(executor, rows)
        assert fitted.direction is not None
        whole = replace(self, basis=fitted.direction[:, None], along=fitted.name.partition(" at ")[0])
        read = read_basis(executor.network, self.place.site, self.place.channels)
        if read is None:
            return (whole,)
        part = read @ (read.T @ fitted.direction)
        found = [(READ, part), (UNREAD, fitted.direction - part)]
        return (
            whole,
            *(
                replace(self, basis=(v / np.linalg.norm(v))[:, None], along=name)
                for name, v in found
                if np.linalg.norm(v) > LEAST_PART
            ),
        )

    def _grafts(self, donors: Ints, columns: Ints) -> list[Intervention]:
        assert self.basis is not None
        own: Tensor = self.place.part(self.executor.values(self.sites[0], columns), columns)
        basis = torch.from_numpy(np.ascontiguousarray(self.basis)).to(own)
        channels = torch.arange(own.shape[1])
        found: list[Intervention] = []
        for donated in self._donated(donors, columns):
            moved = torch.einsum("dr,er,ne...->nd...", basis, basis, donated - own)
            found.append(self.place.within(Graft(channels, own + moved), columns))
        return found


def read_basis(network: nn.Module, site: Site, channels: tuple[int, ...] | None = None) -> Floats | None:
    """Return an orthonormal basis ``[k, r]`` of what is read of a place, where that is the input of a linear map.

    Args:
        network: The network.
        site: The site.
        channels: Channels of it; None for all.

    Returns:
        None where what reads the place is not known: it is no input of a linear layer.

    Example:
        >>> net = nn.Sequential(nn.Identity(), nn.Linear(3, 1, bias=False))
        >>> net[1].weight.data = torch.tensor([[0.0, 2.0, 0.0]])
        >>> abs(read_basis(net, Site.parse("1.input"))).tolist(), read_basis(net, Site.parse("0.output"))
        ([[0.0], [1.0], [0.0]], None)
    """
    module = site.validate(network)
    weight = getattr(module, "weight", None)
    if site.port != "input" or not isinstance(weight, Tensor) or weight.ndim != 2:
        return None
    if isinstance(module, nn.Linear):
        matrix = weight.detach()
    elif type(module).__name__ == "Conv1D":  # of transformers: inputs by outputs
        matrix = weight.detach().T
    else:
        return None
    rows = np.asarray(matrix.double().cpu())
    return orthonormal_basis(rows if channels is None else rows[:, list(channels)])


def bind(factor: spec.PatchAlong, to: Binding) -> AlongPatches:
    """Return the patch at a place, donors drawn, its direction not found yet.

    Raises:
        ConfigError: If the place or the split does not exist, or a vector has another width.
        DataError: If contexts have no label or domain, or no other one.
    """
    plain = _patch.bind(factor, to)
    asked = spec.Directions(method=factor.along, target=factor.target, alphas=[1.0], values=factor.values)
    direction = _directions.bind(asked, to)
    return AlongPatches(
        plain.executor, plain.place, plain.donors, plain.unrelated, name=plain.name, direction=direction
    )
