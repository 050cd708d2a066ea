"""Edits of a part of a value, and of several sites in one pass.

They wrap other interventions, so that everything that can be done at a whole site can be done to some of its channels
(a head is a range of them), at some of its positions, and at several sites together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from paribus.engine.intervention import Intervention, Pulled, as_tensor, as_units
from paribus.errors import ExperimentError


@dataclass(frozen=True, eq=False)
class Within(Intervention):
    """Apply an edit to some channels at some positions, and to nothing else.

    Attributes:
        inner: The edit; it is given the part as a value, ``[n, len(channels), len(positions)]``.
        channels: ``[k]`` channel indices; None for all.
        positions: ``[p]`` positions in row-major order, negative ones from the end, or ``[n, p]``, for each row its
            own; None for all.

    Example:
        >>> from paribus.engine.interventions import AblateUnits
        >>> h = torch.ones(2, 4, 3)
        >>> Within(AblateUnits([0, 1]), channels=[2, 3], positions=[-1]).forward(h)[0]
        tensor([[1., 1., 1.],
                [1., 1., 1.],
                [1., 1., 0.],
                [1., 1., 0.]])
    """

    inner: Intervention
    channels: Tensor | None = None
    positions: Tensor | None = None

    def __post_init__(self) -> None:
        """Take lists and arrays too."""
        if self.channels is not None:
            self._set(channels=as_units(self.channels))
        if self.positions is not None:
            positions = as_tensor(self.positions, integer=True)
            self._set(positions=positions if positions.ndim == 2 else positions.reshape(-1))

    def forward(self, h: Tensor) -> Tensor:
        """Return ``h`` with the part edited.

        Raises:
            ExperimentError: If a position does not exist.
        """
        edited = h.clone()
        flat = edited.flatten(2) if h.ndim > 2 else edited.unsqueeze(2)
        index = self._index(flat)
        part = flat[index]
        flat[index] = self.inner.forward(part if h.ndim > 2 else part.squeeze(2)).reshape(part.shape)
        return flat.reshape(h.shape)

    def _index(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return broadcasting indices of the part in ``[n, d, P]``."""
        n, d, size = flat.shape
        there = flat.device
        rows = torch.arange(n, device=there)[:, None, None]
        channels = torch.arange(d, device=there) if self.channels is None else self.channels.to(there)
        if self.positions is None:
            positions = torch.arange(size, device=there)[None]
        else:
            positions = self.positions.to(there)
            if positions.numel() and not -size <= int(positions.min()) <= int(positions.max()) < size:
                raise ExperimentError(f"Within.positions must lie in -{size}..{size - 1}")
            positions = positions.remainder(size).reshape(-1, positions.shape[-1])
        return rows, channels[None, :, None], positions[:, None, :]

    @property
    def needs_rows(self) -> bool:
        """Where rows have positions of their own, or the inner edit depends on the row."""
        return self.inner.needs_rows or (self.positions is not None and self.positions.ndim == 2)

    @property
    def kind(self) -> tuple[Any, ...]:
        """Parts of channels, of positions and of both are kinds of their own."""
        positions = None if self.positions is None else self.positions.ndim
        return (Within, self.channels is not None, positions, *self.inner.kind)

    def at(self, rows: slice, features: Callable[[], Tensor]) -> Intervention:
        """Return the edit of these rows."""
        own = self.positions[rows] if self.positions is not None and self.positions.ndim == 2 else self.positions
        if not self.inner.needs_rows:
            return replace(self, positions=own)

        def part() -> Tensor:
            h = features()
            flat = h.flatten(2) if h.ndim > 2 else h.unsqueeze(2)
            found = flat[self._index(flat)]
            return found if h.ndim > 2 else found.squeeze(2)

        return Within(self.inner.at(rows, part), self.channels, own)

    def check(self, width: int, n_rows: int) -> None:
        """Refuse channels the site does not have, and positions of another number of rows."""
        if self.channels is not None:
            self.check_units("channels", self.channels, width)
            if len(set(self.channels.tolist())) != len(self.channels):
                raise ExperimentError("Within.channels names a channel twice")
        if self.positions is not None and self.positions.ndim == 2 and len(self.positions) != n_rows:
            raise ExperimentError(f"Within.positions has {len(self.positions)} rows; there are {n_rows}")
        self.inner.check(width if self.channels is None else len(self.channels), n_rows)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Self:
        """Return a copy whose tensors, those of the inner edit included, live on ``device``."""
        return replace(super().to(device, dtype), inner=self.inner.to(device, dtype))

    @property
    def family(self) -> tuple[Any, ...] | None:
        """Affine edits of the same channels at every position go together."""
        if self.positions is not None or self.inner.family is None:
            return None
        channels = None if self.channels is None else tuple(self.channels.tolist())
        return (channels, type(self.inner), *self.inner.family)

    @classmethod
    def pull_back(cls, family: Sequence[Within], weight: Tensor) -> Pulled:
        """The inner edit's pull-back on the channels' columns of ``W``; the other columns stay."""
        channels = family[0].channels
        inner = [one.inner for one in family]
        if channels is None:
            return type(inner[0]).pull_back(inner, weight)
        channels = channels.to(weight.device)
        pulled = type(inner[0]).pull_back(inner, weight[:, channels])
        if pulled.weights is None:
            return pulled
        weights = weight.expand(len(family), -1, -1).clone()
        weights[:, :, channels] = pulled.weights
        return Pulled(weights, pulled.offsets)


@dataclass(frozen=True, eq=False)
class Together(Intervention):
    """Edit several sites in one pass; for an engine with further sites (``also=``).

    Attributes:
        edits: One for each site of the engine, in its order; None where a site is left as it is.

    Example:
        >>> from paribus.engine.evaluation import Engine
        >>> from paribus.engine.interventions import AblateUnits
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> engine = Engine(net, "0", also=["1"])
        >>> engine.evaluate(torch.ones(5, 3), [Together((AblateUnits([0]), AblateUnits([1])))]).outputs.shape
        (1, 5, 2)
    """

    edits: tuple[Intervention | None, ...]

    def __post_init__(self) -> None:
        """Take a list too.

        Raises:
            ExperimentError: If there are none, or one is again several.
        """
        self._set(edits=tuple(self.edits))
        if not any(one is not None for one in self.edits):
            raise ExperimentError("Together.edits: nothing is edited")
        if any(isinstance(one, Together) for one in self.edits):
            raise ExperimentError("Together.edits: must be edits of single sites")

    @classmethod
    def at_sites(cls, edits: tuple[Intervention | None, ...]) -> Intervention:
        """Return the edits of an engine's sites as one; where there is a single site, its own edit."""
        return edits[0] if len(edits) == 1 and edits[0] is not None else cls(edits)

    def forward(self, h: Tensor) -> Tensor:
        """Return what is done to the first site's value."""
        return h.clone() if self.edits[0] is None else self.edits[0].forward(h)

    @property
    def needs_rows(self) -> bool:
        """Where one of them does."""
        return any(one is not None and one.needs_rows for one in self.edits)

    @property
    def kind(self) -> tuple[Any, ...]:
        """The kinds of its edits."""
        return (Together, *(None if one is None else one.kind for one in self.edits))

    def at(self, rows: slice, features: Callable[[], Tensor]) -> Intervention:
        """Return the edits of these rows."""

        def elsewhere() -> Tensor:
            raise ExperimentError("Together: a further site takes donors by value (Graft), not by row (Resample)")

        first = (features, *(elsewhere for _ in self.edits[1:]))
        pairs = zip(self.edits, first, strict=True)
        return Together(tuple(None if one is None else one.at(rows, values) for one, values in pairs))

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Self:
        """Return a copy whose edits live on ``device``."""
        return replace(self, edits=tuple(None if one is None else one.to(device, dtype) for one in self.edits))


def edits_of(intervention: Intervention, n_sites: int) -> tuple[Intervention | None, ...]:
    """Return what an intervention does at each of an engine's sites.

    Raises:
        ExperimentError: If it names more or fewer sites than the engine has.

    Example:
        >>> from paribus.engine.interventions import AblateUnits
        >>> edits_of(AblateUnits([0]), 1)[0].units
        tensor([0])
    """
    if not isinstance(intervention, Together):
        return (intervention, *(None for _ in range(n_sites - 1)))
    if len(intervention.edits) != n_sites:
        raise ExperimentError(f"Together.edits: {len(intervention.edits)} edits for {n_sites} sites")
    return intervention.edits


@dataclass(frozen=True, eq=False)
class Chain(Intervention):
    """Several edits of one site, one after the other.

    Attributes:
        edits: The edits, in this order.

    Example:
        >>> from paribus.engine.interventions import AblateUnits, Steer
        >>> Chain((Steer(torch.ones(2), 1.0), AblateUnits([0]))).forward(torch.zeros(1, 2))
        tensor([[0., 1.]])
    """

    edits: tuple[Intervention, ...]

    def __post_init__(self) -> None:
        """Take a list too.

        Raises:
            ExperimentError: If there are none, or one is an edit of several sites.
        """
        self._set(edits=tuple(self.edits))
        if not self.edits or any(isinstance(one, Together) for one in self.edits):
            raise ExperimentError("Chain.edits: must be one or more edits of single sites")

    def forward(self, h: Tensor) -> Tensor:
        """Return what all of them make of ``h``."""
        for one in self.edits:
            h = one.forward(h)
        return h

    @property
    def needs_rows(self) -> bool:
        """Where one of them does."""
        return any(one.needs_rows for one in self.edits)

    @property
    def kind(self) -> tuple[Any, ...]:
        """The kinds of its edits."""
        return (Chain, *(one.kind for one in self.edits))

    def at(self, rows: slice, features: Callable[[], Tensor]) -> Intervention:
        """Return the edits of these rows; donors give the values they have unedited."""
        return Chain(tuple(one.at(rows, features) if one.needs_rows else one for one in self.edits))

    def check(self, width: int, n_rows: int) -> None:
        """Compare every edit with the site."""
        for one in self.edits:
            one.check(width, n_rows)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Self:
        """Return a copy whose edits live on ``device``."""
        return replace(self, edits=tuple(one.to(device, dtype) for one in self.edits))
