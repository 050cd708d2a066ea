"""Affine edits of activations: small frozen classes with one ``forward``.

Every intervention takes ``h`` of shape ``[n, d]`` or ``[n, d, *positions]`` (channels on axis 1, whatever the site's
own layout: the engine moves them there and back) and edits every position. None changes its argument.
An affine intervention ``h' = M h + b`` also says what it does to a linear map ``W`` behind it:
``W h' = (W M) h + W b``. That pull-back is what lets a family of hundreds of them be evaluated with a handful of matrix
products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from paribus.engine.intervention import Intervention, Pulled, along_channels, as_tensor, as_units, stacked
from paribus.errors import ExperimentError

ORTHONORMAL_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Identity(Intervention):
    """Change nothing: the baseline.

    Example:
        >>> h = torch.ones(2, 3)
        >>> bool((Identity().forward(h) == h).all())
        True
    """

    of_class: ClassVar[tuple[Any, ...] | None] = ()

    def forward(self, h: Tensor) -> Tensor:
        """Return a copy of ``h``."""
        return h.clone()

    @classmethod
    def pull_back(cls, family: Sequence[Identity], weight: Tensor) -> Pulled:
        """Leave the map as it is."""
        return Pulled(None, weight.new_zeros(len(family), len(weight)))


@dataclass(frozen=True, eq=False)
class ProjectOut(Intervention):
    """Remove a subspace: ``h' = h - Q Q^T (h - center)``.

    Attributes:
        basis: ``Q [d, r]``, orthonormal columns; ``r`` may be 0.
        center: ``[d]``, where the removed coordinates are put (usually the training mean).

    Example:
        >>> basis = torch.tensor([[1.0], [0.0], [0.0]])
        >>> ProjectOut(basis, center=torch.zeros(3)).forward(torch.tensor([[5.0, 1.0, 2.0]]))
        tensor([[0., 1., 2.]])
    """

    basis: Tensor
    center: Tensor

    def __post_init__(self) -> None:
        """Take arrays too, and refuse a basis that is not orthonormal."""
        basis, center = as_tensor(self.basis), as_tensor(self.center)
        if basis.ndim != 2:
            raise ExperimentError(f"ProjectOut.basis must be [d, r], got shape {tuple(basis.shape)}")
        gram = basis.double().T @ basis.double()
        gram.diagonal().sub_(1.0)
        off = float(gram.abs().max()) if gram.numel() else 0.0
        if not off <= ORTHONORMAL_TOLERANCE:
            raise ExperimentError(
                f"ProjectOut.basis must have orthonormal columns; Q^T Q is {off:.2g} off the identity"
            )
        self._set(basis=basis, center=center)

    def forward(self, h: Tensor) -> Tensor:
        """Return ``h`` without its coordinates in the subspace."""
        basis = self.basis.to(h)
        if h.ndim == 2:
            return torch.addmm(h, (h - self.center.to(h)) @ basis, basis.T, alpha=-1.0)
        flat = h.flatten(2)
        coordinates = basis.T @ flat - (self.center.to(h) @ basis)[:, None]
        return (flat - basis @ coordinates).reshape(h.shape)

    def check(self, width: int, n_rows: int) -> None:
        """Compare the basis and the center with the site."""
        self.check_width(width, basis=len(self.basis), center=len(self.center))

    @property
    def family(self) -> tuple[Any, ...] | None:
        """Subspaces of one rank go together."""
        return (self.basis.shape[1],)

    @classmethod
    def pull_back(cls, family: Sequence[ProjectOut], weight: Tensor) -> Pulled:
        """``W' = W - (W Q) Q^T``, offset ``(W Q)(Q^T c)``."""
        basis = stacked([one.basis for one in family], weight)
        center = stacked([one.center for one in family], weight)
        n, d, r = basis.shape
        read = (weight @ basis.movedim(0, 1).reshape(d, n * r)).reshape(len(weight), n, r).movedim(1, 0)
        transposed = basis.transpose(1, 2)
        offsets = read @ (transposed @ center[:, :, None])
        return Pulled(torch.baddbmm(weight.expand(n, -1, -1), read, transposed, alpha=-1.0), offsets[:, :, 0])


@dataclass(frozen=True, eq=False)
class AffineErase(Intervention):
    """Erase obliquely: ``h' = h - P (h - center)`` with any matrix ``P`` (LEACE, SPLINCE, LDA).

    Attributes:
        matrix: ``P [d, d]``, acting on column vectors.
        center: ``[d]``.

    Example:
        >>> half = 0.5 * torch.eye(2)
        >>> AffineErase(half, center=torch.tensor([1.0, 1.0])).forward(torch.tensor([[3.0, 1.0]]))
        tensor([[2., 1.]])
    """

    of_class: ClassVar[tuple[Any, ...] | None] = ()

    matrix: Tensor
    center: Tensor

    def __post_init__(self) -> None:
        """Take arrays too."""
        matrix = as_tensor(self.matrix)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ExperimentError(f"AffineErase.matrix must be [d, d], got shape {tuple(matrix.shape)}")
        self._set(matrix=matrix, center=as_tensor(self.center))

    def forward(self, h: Tensor) -> Tensor:
        """Return ``h - P (h - center)``."""
        matrix = self.matrix.to(h)
        if h.ndim == 2:
            return torch.addmm(h, h - self.center.to(h), matrix.T, alpha=-1.0)
        return h - (matrix @ (h - along_channels(self.center, h)).flatten(2)).reshape(h.shape)

    def check(self, width: int, n_rows: int) -> None:
        """Compare the matrix and the center with the site."""
        self.check_width(width, matrix=len(self.matrix), center=len(self.center))

    @classmethod
    def pull_back(cls, family: Sequence[AffineErase], weight: Tensor) -> Pulled:
        """``W' = W - W P``, offset ``W P c``."""
        read = torch.stack([weight @ one.matrix.to(weight) for one in family])
        center = stacked([one.center for one in family], weight)
        return Pulled(weight - read, (read @ center[:, :, None])[:, :, 0])


@dataclass(frozen=True, eq=False)
class Steer(Intervention):
    """Move along a direction: ``h' = h + amount * direction``.

    Attributes:
        direction: ``v [d]``; not normalised here.
        amount: In units of ``v`` (for alpha in standard deviations: ``alpha * sigma``).

    Example:
        >>> Steer(torch.tensor([0.0, 1.0]), amount=2.0).forward(torch.zeros(1, 2))
        tensor([[0., 2.]])
    """

    of_class: ClassVar[tuple[Any, ...] | None] = ()

    direction: Tensor
    amount: float

    def __post_init__(self) -> None:
        """Take arrays too."""
        self._set(direction=as_tensor(self.direction))

    def forward(self, h: Tensor) -> Tensor:
        """Return the shifted ``h``."""
        return h + along_channels(self.direction * self.amount, h)

    def check(self, width: int, n_rows: int) -> None:
        """Compare the direction with the site."""
        self.check_width(width, direction=len(self.direction))

    @classmethod
    def pull_back(cls, family: Sequence[Steer], weight: Tensor) -> Pulled:
        """The weight stays; offset ``amount * W v``."""
        directions = stacked([one.direction for one in family], weight)
        amounts = torch.tensor([one.amount for one in family], dtype=weight.dtype, device=weight.device)
        return Pulled(None, directions @ weight.T * amounts[:, None])


@dataclass(frozen=True, eq=False)
class AblateUnits(Intervention):
    """Set units to fixed values.

    Attributes:
        units: ``[k]`` channel indices; may be empty.
        values: ``[d]`` value of every channel, read at ``units`` (e.g. training means); None for zero.

    Example:
        >>> h = torch.ones(1, 4)
        >>> AblateUnits([0, 3]).forward(h), AblateUnits([0], values=torch.full((4,), 0.5)).forward(h)
        (tensor([[0., 1., 1., 0.]]), tensor([[0.5000, 1.0000, 1.0000, 1.0000]]))
    """

    units: Tensor
    values: Tensor | None = None

    def __post_init__(self) -> None:
        """Take arrays and lists too."""
        self._set(units=as_units(self.units), values=None if self.values is None else as_tensor(self.values))

    def forward(self, h: Tensor) -> Tensor:
        """Return ``h`` with the units overwritten."""
        edited = h.clone()
        units = self.units.to(h.device)
        if self.values is None:
            return edited.index_fill_(1, units, 0.0)
        edited[:, units] = along_channels(self.values.to(h)[units], h)
        return edited

    def check(self, width: int, n_rows: int) -> None:
        """Refuse units the site does not have."""
        self.check_units("units", self.units, width)
        if self.values is not None:
            self.check_width(width, values=len(self.values))

    @property
    def family(self) -> tuple[Any, ...] | None:
        """Zeroing goes together, and so does setting to values."""
        return (self.values is None,)

    @classmethod
    def pull_back(cls, family: Sequence[AblateUnits], weight: Tensor) -> Pulled:
        """``W'`` = ``W`` without the units' columns; offset = those columns times the values."""
        sizes = torch.tensor([len(one.units) for one in family])
        rows = torch.repeat_interleave(torch.arange(len(family)), sizes).to(weight.device)
        units = torch.cat([one.units for one in family]).to(weight.device)
        keep = weight.new_ones(len(family), weight.shape[1])
        keep[rows, units] = 0.0
        values = [one.values for one in family if one.values is not None]
        if values:
            offsets = ((1.0 - keep) * stacked(values, weight)) @ weight.T
        else:
            offsets = weight.new_zeros(len(family), len(weight))
        return Pulled(weight * keep[:, None, :], offsets)
