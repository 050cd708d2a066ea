"""The base class of interventions, with the optional pull-back of a linear map through them."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from paribus.errors import ExperimentError


@dataclass(frozen=True, eq=False)
class Pulled:
    """What a family of F affine interventions makes of a linear map with m rows.

    Attributes:
        weights: ``[F, m, d]``, or None where the family leaves the weight as it is.
        offsets: ``[F, m]``, added to the map's value.

    Example:
        >>> Pulled(weights=None, offsets=torch.zeros(4, 2)).offsets.shape
        torch.Size([4, 2])
    """

    weights: Tensor | None
    offsets: Tensor


def as_tensor(value: Any, *, integer: bool = False) -> Tensor:
    """Return ``value`` (tensor, array or list) as a detached tensor.

    Example:
        >>> as_tensor([1, 2]), as_tensor([1, 2], integer=True)
        (tensor([1., 2.]), tensor([1, 2]))
    """
    tensor = value.detach() if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    if integer:
        return tensor.to(torch.int64)
    return tensor if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())


def as_units(value: Any) -> Tensor:
    """Return numbers of channels or rows ``[k]``."""
    return as_tensor(value, integer=True).reshape(-1)


def along_channels(vector: Tensor, h: Tensor) -> Tensor:
    """Return ``vector [d]`` shaped to broadcast over the channel axis of ``h``.

    Example:
        >>> along_channels(torch.ones(4), torch.zeros(2, 4, 8, 8)).shape
        torch.Size([1, 4, 1, 1])
    """
    return vector.to(h).reshape(1, -1, *([1] * (h.ndim - 2)))


def stacked(tensors: Sequence[Tensor], like: Tensor) -> Tensor:
    """Return ``tensors`` as one, in the number format and on the device of ``like``.

    Example:
        >>> stacked([torch.ones(3), torch.zeros(3)], torch.zeros(1, dtype=torch.float64)).dtype
        torch.float64
    """
    return torch.stack(tuple(tensors)).to(like)


@dataclass(frozen=True, eq=False)
class Intervention(ABC):
    """Base of all interventions.

    Example:
        >>> class Double(Intervention):
        ...     def forward(self, h):
        ...         return 2 * h
        >>> Double().forward(torch.ones(1, 3))
        tensor([[2., 2., 2.]])

    Class attributes:
        of_class: The :attr:`family` of all interventions of the class, where they have one.
    """

    of_class: ClassVar[tuple[Any, ...] | None] = None

    @property
    def needs_rows(self) -> bool:
        """Whether the edit of a row depends on which row it is, so that :meth:`at` must be asked first."""
        return False

    @property
    def kind(self) -> tuple[Any, ...]:
        """What kind of edit it is; one of every kind in a call is checked against the plain model."""
        return (type(self),)

    @abstractmethod
    def forward(self, h: Tensor) -> Tensor:
        """Return the edited copy of ``h`` ``[n, d, *positions]``."""

    def check(self, width: int, n_rows: int) -> None:  # noqa: B027 - most edits fit every site of their width
        """Raise :class:`ExperimentError` if this does not fit a site of ``width`` channels and ``n_rows`` rows."""

    def at(self, rows: slice, features: Callable[[], Tensor]) -> Intervention:
        """Return what this does to the given rows; ``features()`` are those of all rows, ``[n, d, *positions]``."""
        return self

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Self:
        """Return a copy whose tensors live on ``device``, the floating-point ones as ``dtype``."""
        moved: dict[str, Any] = {}
        for declared in dataclasses.fields(self):
            value = getattr(self, declared.name)
            if isinstance(value, Tensor):
                there = value.to(device, dtype if value.is_floating_point() else value.dtype)
                if there is not value:
                    moved[declared.name] = there
        return dataclasses.replace(self, **moved) if moved else self

    @property
    def family(self) -> tuple[Any, ...] | None:
        """A key: interventions of one class with the same key are pulled back together; None without a pull-back."""
        return self.of_class

    @classmethod
    def pull_back(cls, family: Sequence[Any], weight: Tensor) -> Pulled:
        """Return what each of ``family`` (all of this class and one :attr:`family`) makes of ``weight [m, d]``."""
        raise ExperimentError(f"{cls.__name__} is not affine: it has no pull-back")

    def check_width(self, width: int, **sizes: int) -> None:
        """Raise :class:`ExperimentError` unless each of the fields has as many entries as the site has channels."""
        for name, size in sizes.items():
            if size != width:
                raise ExperimentError(f"{type(self).__name__}.{name} has {size} entries; the site has {width} channels")

    def _set(self, **values: Any) -> None:
        """Set fields, which are frozen, to what they were converted to."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def check_units(self, name: str, units: Tensor, width: int) -> None:
        """Raise :class:`ExperimentError` unless every unit of the field ``name`` lies in ``0..width-1``."""
        if len(units) and not 0 <= int(units.min()) <= int(units.max()) < width:
            raise ExperimentError(f"{type(self).__name__}.{name} must lie in 0..{width - 1}")
