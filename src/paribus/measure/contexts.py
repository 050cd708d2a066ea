"""Contexts of any kind: the examples in which something is changed, as a user hands them over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from paribus.arrays import Ints
from paribus.engine.given import Given, given
from paribus.errors import DataError


@dataclass(frozen=True, eq=False)
class Contexts:
    """Examples with what is known of them.

    Attributes:
        inputs: What the network is called with: a tensor (or array) ``[n, ...]``, a tuple of them by position, or a
            mapping by keyword.
        cluster: What an example shares with others that are not independent of it (a patient, a slide) ``[n]``, whole
            numbers or names; None where examples are independent.
        label: The class (whole numbers) or target of each example ``[n]``; None where there is none.
        domain: Where each example comes from ``[n]``, whole numbers or names; None where that is not known.
        splits: Rows of each split by name; one split ``all`` by default.
        input_names: Names of the inputs' columns, where they have names (a table's).
        output_names: Names of the network's outputs (classes, tokens), where they have any.

    Example:
        >>> contexts = Contexts(inputs=torch.zeros(4, 3), cluster=["a", "a", "b", "b"], label=[0, 1, 0, 1])
        >>> len(contexts), contexts.cluster.tolist(), list(contexts.splits)
        (4, [0, 0, 1, 1], ['all'])
    """

    inputs: Any
    cluster: Any = None
    label: Any = None
    domain: Any = None
    splits: Mapping[str, Any] = field(default_factory=dict)
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    domain_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Bring everything to arrays and check that lengths agree.

        Raises:
            DataError: If there are no examples, or lengths or splits do not fit.
        """
        passed = given(self.inputs)
        n = len(passed)
        set_field = object.__setattr__
        set_field(self, "_given", passed)
        set_field(self, "cluster", np.arange(n) if self.cluster is None else numbered(self.cluster, "cluster", n)[0])
        if self.label is not None:
            set_field(self, "label", _column(self.label, "label", n))
        if self.domain is not None:
            codes, names = numbered(self.domain, "domain", n)
            set_field(self, "domain", codes)
            set_field(self, "domain_names", self.domain_names or names)
        splits: Mapping[str, Any] = self.splits or {"all": np.arange(n)}
        set_field(self, "splits", {name: _rows(rows, name, n) for name, rows in splits.items()})

    @property
    def given(self) -> Given:
        """The inputs as arguments of a forward pass."""
        found: Given = self.__dict__["_given"]
        return found

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.given)


def numbered(values: Any, what: str, n: int) -> tuple[Ints, tuple[str, ...]]:
    """Return whole numbers ``[n]`` for ids or names, and the names in the order of the numbers.

    Whole numbers stay as they are; names are numbered in sorted order.

    Raises:
        DataError: If there are not ``n``, or some are missing.

    Example:
        >>> codes, names = numbered(["b", "a", "b"], "domain", 3)
        >>> codes.tolist(), names
        ([1, 0, 1], ('a', 'b'))
    """
    array = _column(values, what, n)
    if array.dtype.kind in "iub":
        codes = array.astype(np.int64)
        return codes, tuple(str(code) for code in range(int(codes.max(initial=-1)) + 1))
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or (array != np.floor(array)).any():
            raise DataError(f"contexts: {what} must be whole numbers or names")
        return numbered(array.astype(np.int64), what, n)
    names, codes = np.unique(array.astype(str), return_inverse=True)
    return codes.astype(np.int64).reshape(-1), tuple(names.tolist())


def _column(values: Any, what: str, n: int) -> np.ndarray:
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    if array.ndim != 1 or len(array) != n:
        raise DataError(f"contexts: {what} must hold one value for each of {n} examples, got shape {array.shape}")
    return array


def _rows(rows: Any, name: str, n: int) -> Ints:
    array = np.asarray(rows)
    if array.dtype == bool and array.shape == (n,):
        array = np.flatnonzero(array)
    if not array.size:
        raise DataError(f"contexts: split {name!r} has no examples")
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= n:
        raise DataError(f"contexts: split {name!r} must hold rows between 0 and {n - 1}")
    return array.astype(np.int64)
