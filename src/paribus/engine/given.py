"""What a model is called with: tensors of equally many rows, each by its position or by a keyword."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from paribus.engine.lazy_rows import LazyRows
from paribus.errors import DataError


@dataclass(frozen=True, eq=False)
class Given:
    """The arguments of a forward pass; axis 0 of every tensor holds the examples.

    Attributes:
        tensors: The arguments.
        names: The keyword that each is passed by, None for those passed by position (which come first).

    Example:
        >>> inputs = given((torch.zeros(3, 5), torch.ones(3, 2)))
        >>> len(inputs), inputs.take(slice(0, 2)).tensors[1].shape
        (3, torch.Size([2, 2]))
    """

    tensors: tuple[Tensor, ...]
    names: tuple[str | None, ...]

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.tensors[0])

    @property
    def signature(self) -> tuple[Any, ...]:
        """What must agree for two calls to be evaluated by one plan."""
        return tuple(
            (name, tuple(one.shape[1:]), one.dtype) for name, one in zip(self.names, self.tensors, strict=True)
        )

    def take(self, rows: slice | Tensor) -> Given:
        """Return the given rows of every argument."""
        return Given(tuple(one[rows] for one in self.tensors), self.names)

    def repeated(self, times: int) -> Given:
        """Return all rows ``times`` times, one copy after the other."""
        return Given(tuple(torch.cat([one] * times) for one in self.tensors), self.names)

    def call(self, model: nn.Module, **further: Any) -> Any:
        """Return what ``model`` returns."""
        positional, named = arguments(self.tensors, self.names)
        return model(*positional, **named, **further)


def arguments(values: tuple[Any, ...], names: tuple[str | None, ...]) -> tuple[list[Any], dict[str, Any]]:
    """Return the values passed by position and those passed by keyword.

    Example:
        >>> arguments((1, 2), (None, "mask"))
        ([1], {'mask': 2})
    """
    pairs = list(zip(names, values, strict=True))
    return [value for name, value in pairs if name is None], {name: value for name, value in pairs if name is not None}


def _rows(value: Any) -> Tensor:
    # LazyRows offers every attribute of a tensor that is used before rows are taken.
    if isinstance(value, LazyRows):
        return cast(Tensor, value)
    try:
        found = value if isinstance(value, Tensor) else torch.as_tensor(np.require(value, requirements="W"))
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"inputs: a {type(value).__name__} is no tensor ({str(error).splitlines()[0]})") from None
    return found.float() if found.dtype == torch.bfloat16 else found  # no array holds this format; float32 holds it all


def given(inputs: Any) -> Given:
    """Return ``inputs`` as arguments: a tensor, array or nested list, a tuple of them by position, or a mapping.

    :class:`~paribus.engine.lazy_rows.LazyRows` stay what they are.

    Raises:
        DataError: If there are none, or they have no rows or different numbers of them.

    Example:
        >>> given({"input_ids": torch.zeros(3, 5), "attention_mask": torch.ones(3, 5)}).names
        ('input_ids', 'attention_mask')
    """
    if isinstance(inputs, Given):
        return inputs
    if isinstance(inputs, Mapping):
        names: tuple[str | None, ...] = tuple(map(str, inputs))
        values = list(inputs.values())
    else:
        several = isinstance(inputs, tuple) or (isinstance(inputs, list) and any(map(_is_array, inputs)))
        values = list(inputs) if several else [inputs]
        names = (None,) * len(values)
    tensors = tuple(_rows(one) for one in values)
    if not tensors or any(one.ndim == 0 for one in tensors) or len({len(one) for one in tensors}) != 1:
        shapes = [tuple(one.shape) for one in tensors]
        raise DataError(f"inputs must be tensors of equally many rows, got shapes {shapes}")
    if not len(tensors[0]):
        raise DataError("inputs have no rows; there is nothing to evaluate")
    return Given(tensors, names)


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor | LazyRows) or hasattr(value, "__array__")
