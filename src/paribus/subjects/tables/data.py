"""The rows of a table, encoded for a network, with a label, a domain and a cluster each, split by role."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paribus.arrays import Floats, Ints
from paribus.errors import ConfigError, DataError, nearest
from paribus.subjects.in_splits import SPLITS, InSplits, check_classes, check_lengths, check_splits

if TYPE_CHECKING:
    import torch

MISSING = "(missing)"
"""Category of a missing value, and what follows a column's name in the name of its indicator."""


@dataclass(frozen=True)
class EncodedColumn:
    """One column of a table and the inputs of the network that hold it.

    Attributes:
        name: Its name in the file.
        start: Its first input.
        categories: Names of its categories, one input each, in the order of the inputs; None for a numeric column.
        mean: What is subtracted from a number (mean of the training rows, or 0).
        scale: What it is divided by (standard deviation of the training rows, or 1).
        indicator: Whether a second input says that the value is missing; numeric columns only.
        filled: The input where a number is missing: that of the mean of the training rows.

    Example:
        >>> EncodedColumn("ward", 3, categories=("a", "b")).inputs, EncodedColumn("age", 0).slots
        (('ward=a', 'ward=b'), slice(0, 1, None))
    """

    name: str
    start: int
    categories: tuple[str, ...] | None = None
    mean: float = 0.0
    scale: float = 1.0
    indicator: bool = False
    filled: float = field(default=0.0, repr=False)

    @property
    def width(self) -> int:
        """Number of inputs that hold it."""
        return len(self.categories) if self.categories is not None else 1 + self.indicator

    @property
    def slots(self) -> slice:
        """The inputs that hold it."""
        return slice(self.start, self.start + self.width)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of its inputs: ``age``, or ``hospital=north``, ``hospital=south``."""
        if self.categories is not None:
            return tuple(f"{self.name}={category}" for category in self.categories)
        return (self.name, f"{self.name} {MISSING}")[: self.width]

    def encode(self, value: Any) -> Floats:
        """Return the inputs ``[width]`` that stand for a value of the file.

        >>> EncodedColumn("dose", 0, mean=10.0, scale=2.0).encode(14)
        array([2.])
        >>> EncodedColumn("ward", 0, categories=("a", "b")).encode("b")
        array([0., 1.])

        Raises:
            ConfigError: If a numeric column is given no number, or a categorical one a category it does not have.
        """
        made = np.zeros(self.width)
        if self.categories is None:
            try:
                made[0] = (float(value) - self.mean) / self.scale
            except (TypeError, ValueError):
                raise ConfigError(f"column {self.name}: is numeric, {value!r} is no number") from None
            if not np.isfinite(made[0]):
                raise ConfigError(f"column {self.name}: wants a finite number, got {value!r}")
            return made
        if str(value) not in self.categories:
            raise ConfigError(f"column {self.name}: no such category {value!r}; {nearest(str(value), self.categories)}")
        made[self.categories.index(str(value))] = 1.0
        return made

    def decode(self, x: Floats) -> NDArray[Any]:
        """Return the values ``[n]`` that inputs ``[n, width]`` stand for; None where no category or a missing value.

        >>> EncodedColumn("dose", 0, mean=10.0, scale=2.0).decode(np.array([[2.0], [-1.0]])).tolist()
        [14.0, 8.0]
        """
        found = np.empty(len(x), dtype=object)
        if self.categories is not None:
            names = (self.categories[k] for k in x.argmax(axis=1))
            found[:] = [name if shown else None for name, shown in zip(names, x.max(axis=1) > 0.5, strict=True)]
            return found
        found[:] = (x[:, 0] * self.scale + self.mean).tolist()
        if self.indicator:
            found[x[:, 1] > 0.5] = None
        return found


@dataclass(frozen=True)
class TableData(InSplits):
    """The rows of a table, ready to be trained on and experimented with.

    Attributes:
        inputs: The encoded columns ``[n, d]``, float32.
        columns: What the inputs are, in their order.
        labels: Class of each row ``[n]``, an index into ``class_names``.
        domains: Domain of each row ``[n]``, an index into ``domain_names``; a table without domains has the single one
            ``all``.
        clusters: What a row shares with others that are not independent of it (a patient) ``[n]``.
        domain_names: Names of the domains.
        class_names: Names of the classes; the last one is the positive class of a binary task.
        splits: Rows of ``train`` and of those of ``id_val, val, ood`` that there are.
        digest: Hash of all of it.
        train_domains: Domains of ``train``, ascending.
        cluster_names: Names of the clusters, by which rows of two tables are known to be of one patient; empty where
            every row is a cluster of its own.
        contents: Hash of what each row holds in the file ``[n]``; None where that is not known.
        values: What each column holds in the file ``[n]``, a missing number NaN and a missing text None; empty where
            that is not known.
        notes: Warnings about how it was read.
        about_encoding: Those of them that are about how its own columns became inputs.

    Example:
        >>> import torch
        >>> four = np.arange(4)
        >>> table = TableData(
        ...     torch.zeros(4, 1), (EncodedColumn("age", 0),), four % 2, four * 0, four, ("all",), ("no", "yes"),
        ...     {"train": four}, digest="", train_domains=(0,),
        ... )
        >>> table.provided(), table.present
        ({'n_features': 1, 'n_classes': 2}, ('train',))
    """

    subject: ClassVar[str] = "tables"
    called: ClassVar[str] = "table"
    order: ClassVar[tuple[str, ...]] = SPLITS

    inputs: torch.Tensor
    columns: tuple[EncodedColumn, ...]
    labels: Ints
    domains: Ints
    clusters: Ints
    domain_names: tuple[str, ...]
    class_names: tuple[str, ...]
    splits: Mapping[str, Ints]
    digest: str
    train_domains: tuple[int, ...]
    cluster_names: tuple[str, ...] = ()
    contents: NDArray[np.uint64] | None = None
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()
    about_encoding: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts fit together and that there is something to learn.

        Raises:
            DataError: If lengths differ, there is no training row, a split is empty, or there is a single class.
        """
        check_lengths("table", self.labels, inputs=self.inputs, domains=self.domains, clusters=self.clusters)
        check_splits(self, "row")
        check_classes(self.called, self.labels[self.splits["train"]], self.class_names)

    def take(self, rows: Ints) -> torch.Tensor:
        """Return the inputs of ``rows``, float32 ``[len(rows), d]``."""
        return self.inputs[rows]

    def column(self, name: str) -> EncodedColumn:
        """Return a column by name.

        Raises:
            ConfigError: If there is none; the nearest names are given.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise ConfigError(f"no such column {name!r}; {nearest(name, self.column_names)}")

    @property
    def column_names(self) -> Sequence[str]:
        """Names of the columns, in the order of the inputs."""
        return [column.name for column in self.columns]

    def provided(self) -> dict[str, int]:
        """Return what a function that makes a network for this table can be given, by argument."""
        return {"n_features": self.n_features, "n_classes": self.n_classes}

    @property
    def n_features(self) -> int:
        """Number of inputs of a network."""
        return int(self.inputs.shape[1])


def encoded_as(known: TableData, data: TableData) -> TableData:
    """Return ``data`` with the inputs of a network that was trained on ``known``.

    Columns are found by name; numbers are standardised and categories ordered as there. Those that only ``data`` has
    are left out.

    Raises:
        DataError: If a column that the network reads is missing, or is of the other kind.

    Example:
        >>> import torch
        >>> n = np.arange(4)
        >>> def table(mean, scale):
        ...     return TableData(
        ...         torch.zeros(4, 1), (EncodedColumn("age", 0, None, mean, scale),), n % 2, n * 0, n, ("all",),
        ...         ("no", "yes"), {"train": n}, digest="", train_domains=(0,),
        ...     )
        >>> encoded_as(table(50.0, 10.0), table(70.0, 5.0)).inputs[0].tolist()  # 70 years, as the first one says it
        [2.0]
    """
    parts, notes = [], []
    for column in known.columns:
        if column.name not in data.column_names:
            raise DataError(
                f"table: the model reads the column {column.name!r}; {nearest(column.name, data.column_names)}"
            )
        own = data.column(column.name)
        if (own.categories is None) != (column.categories is None):
            kinds = ["categories" if each.categories is not None else "numbers" for each in (column, own)]
            raise DataError(f"table: the model was trained on {kinds[0]} in {column.name!r}, here it holds {kinds[1]}")
        values = data.values.get(own.name)
        if values is None:
            values = own.decode(data.inputs[:, own.slots].double().numpy())
        part, note = _recoded(values, column)
        parts.append(part)
        notes += note
    inputs = data.inputs.new_zeros((len(data.labels), known.n_features))
    for column, part in zip(known.columns, parts, strict=True):
        inputs[:, column.slots] = inputs.new_tensor(part)
    changed = hashlib.sha256(f"{known.columns}/{data.digest}".encode()).hexdigest()
    said = [note for note in data.notes if note not in data.about_encoding]
    notes = [*said, "Columns are encoded as the model was trained: its means, spreads and categories.", *notes]
    return replace(data, inputs=inputs, columns=known.columns, digest=changed, notes=tuple(notes), about_encoding=())


def _recoded(values: NDArray[Any], wanted: EncodedColumn) -> tuple[Floats, list[str]]:
    """Return values ``[n]`` of a column, None or NaN where missing, as the inputs ``[n, width]`` of another one."""
    made = np.zeros((len(values), wanted.width))
    missing = pd.isna(values)
    if wanted.categories is None:
        made[~missing, 0] = (values[~missing].astype(np.float64) - wanted.mean) / wanted.scale
        made[missing, 0] = wanted.filled
        if wanted.indicator:
            made[:, 1] = missing
        elif missing.any():
            return made, [f"Column {wanted.name}: the model knows no missing values; they are its training mean."]
        return made, []
    names = np.where(missing, MISSING, values)
    for k, name in enumerate(wanted.categories):
        made[names == name, k] = 1.0
    lost = names[made.sum(1) == 0]
    shown = ", ".join(sorted(set(map(str, lost)))[:8])
    said = f"Column {wanted.name}: the model knows no category {shown} ({len(lost)} rows); its inputs are zero there."
    return made, [said] if len(lost) else []
