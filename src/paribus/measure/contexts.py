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

MOST_CODES = 1_000_000
"""Whole numbers below it are codes as they are; larger ones (a patient's id) are numbered."""


@dataclass(frozen=True, eq=False)
class Contexts:
    """Examples with what is known of them.

    Attributes:
        inputs: What the network is called with: a tensor (or array) ``[n, ...]``, a tuple of them by position, or a
            mapping by keyword.
        cluster: What an example shares with others that are not independent of it (a patient, a slide) ``[n]``, whole
            numbers or names; None where examples are independent.
        label: The class (whole numbers, yes or no, or names among ``output_names``) or target of each example ``[n]``;
            None where there is none. Names that are no outputs stay names: probes and directions tell them apart, and
            no readout of the own label is made of them.
        domain: Where each example comes from ``[n]``, whole numbers or names; None where that is not known.
        splits: Rows of each split by name; one split ``all`` by default.
        input_names: Names of the inputs' columns, where they have names (a table's).
        output_names: Names of the network's outputs (classes, tokens), where they have any.
        complete: Whether these are all examples there can be, so that nothing is sampled: effects over all of a split
            have neither an interval nor a p then.

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
    complete: bool = False

    def __post_init__(self) -> None:
        """Convert everything to arrays and check that lengths agree.

        Raises:
            DataError: If there are no examples, lengths or splits do not fit, or labels, clusters or domains are
                missing.
        """
        passed = given(self.inputs)
        n = len(passed)
        set_field = object.__setattr__
        set_field(self, "_given", passed)
        for what in ("input_names", "output_names", "domain_names"):
            names = tuple(map(str, getattr(self, what)))
            if len(set(names)) < len(names):
                raise DataError(f"contexts: {what} holds a name twice")
            set_field(self, what, names)
        set_field(self, "cluster", np.arange(n) if self.cluster is None else numbered(self.cluster, "cluster", n)[0])
        if self.label is not None:
            set_field(self, "label", _label(_column(self.label, "label", n), self.output_names))
        if self.domain is not None:
            codes, names = numbered(self.domain, "domain", n)
            set_field(self, "domain", codes)
            if self.domain_names and not -1 < codes.min() <= codes.max() < len(self.domain_names):
                raise DataError(
                    f"contexts: domain holds numbers from {codes.min()} to {codes.max()}, domain_names has "
                    f"{len(self.domain_names)} names"
                )
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


def complete_note(n: int, what: str) -> str:
    """Return the note that every result on a complete population carries.

    Example:
        >>> complete_note(961, "pairs").partition(":")[0]
        'population'
    """
    return (
        f"population: complete. These are all {n} {what} there are: where all of a split are measured, there is no "
        "inference over contexts (no interval, no p); where a sample is drawn, inference is about the rest of the "
        "split. For a statement about training compare several trainings."
    )


def numbered(values: Any, what: str, n: int) -> tuple[Ints, tuple[str, ...]]:
    """Return whole numbers ``[n]`` for ids or names, and the names in the order of the numbers.

    Whole numbers stay as they are, unless some are negative or very large; these and names are numbered in order.

    Raises:
        DataError: If there are not ``n``, or some are missing.

    Example:
        >>> codes, names = numbered(["b", "a", "b"], "domain", 3)
        >>> codes.tolist(), names
        ([1, 0, 1], ('a', 'b'))
    """
    array = _column(values, what, n)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or (array != np.floor(array)).any():
            raise DataError(f"contexts: {what} must be whole numbers or names, none missing")
        array = array.astype(np.int64)
    if array.dtype.kind in "iub" and array.min(initial=0) >= 0 and array.max(initial=0) < MOST_CODES:
        codes = array.astype(np.int64)
        return codes, tuple(str(code) for code in range(int(codes.max(initial=-1)) + 1))
    found, codes = np.unique(array if array.dtype.kind in "iu" else array.astype(str), return_inverse=True)
    return codes.astype(np.int64).reshape(-1), tuple(map(str, found.tolist()))


def _label(array: np.ndarray, outputs: tuple[str, ...]) -> np.ndarray:
    """Return labels with classes as whole numbers, where they are classes."""
    if array.dtype.kind == "b":
        return array.astype(np.int64)
    if array.dtype.kind == "f":
        if np.isnan(array).any():
            raise DataError(
                f"contexts: label is missing (NaN) for {int(np.isnan(array).sum())} of {len(array)} examples"
            )
        whole = np.isfinite(array).all() and (array == np.floor(array)).all()
        return array.astype(np.int64) if whole else array
    if array.dtype.kind in "OUS" and outputs and set(array.astype(str)) <= set(outputs):
        return np.array([outputs.index(str(one)) for one in array], np.int64)
    return array


def _column(values: Any, what: str, n: int) -> np.ndarray:
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    if array.dtype.kind in "US" and not isinstance(values, np.ndarray):  # a list of names and NaN or None became texts
        array = np.asarray(values, dtype=object)
    if array.ndim != 1 or len(array) != n:
        raise DataError(f"contexts: {what} must hold one value for each of {n} examples, got shape {array.shape}")
    if array.dtype.kind == "O":  # names, some of which may be missing
        missing = sum(map(_is_missing, array.tolist()))
        if missing:
            raise DataError(f"contexts: {what} is missing for {missing} of {n} examples; leave them out, or name them")
        array = array.astype(str)
    return array


def _is_missing(value: Any) -> bool:
    same = value is not None and value == value  # NaN is not itself, and pandas does not know of its NA
    return not (isinstance(same, bool | np.bool_) and bool(same))


def _rows(rows: Any, name: str, n: int) -> Ints:
    array = np.asarray(rows)
    if array.dtype == bool and array.shape == (n,):
        array = np.flatnonzero(array)
    if not array.size:
        raise DataError(f"contexts: split {name!r} has no examples")
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= n:
        raise DataError(f"contexts: split {name!r} must hold rows between 0 and {n - 1}")
    if len(np.unique(array)) < len(array):
        raise DataError(f"contexts: split {name!r} holds some rows more than once")
    return array.astype(np.int64)
