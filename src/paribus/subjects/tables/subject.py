"""Tables for the measurement layer: rows as contexts; columns as factors and as units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.errors import ConfigError, nearest
from paribus.measure import ArrayCells, ArraySubject, Contexts, InputFactor, InputUnits, stack
from paribus.measure.binding import Binding
from paribus.measure.executor import Executor
from paribus.measure.factor import Factor, Units
from paribus.subjects.tables import factors
from paribus.subjects.tables.data import Column, TableData

QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
AS_IT_IS = "as it is"


class TableSubject(ArraySubject):
    """The rows of a table as contexts; a cell holds a row's inputs.

    Attributes:
        data: The table.

    Example:
        >>> import torch
        >>> n = np.arange(4)
        >>> data = TableData(
        ...     torch.zeros(4, 1), (Column("age", 0),), n % 2, n * 0, n // 2, ("all",), ("no", "yes"),
        ...     {"train": n}, digest="", train_domains=(0,),
        ... )
        >>> subject = TableSubject(data)
        >>> len(subject), subject.cluster.tolist(), subject.cells(n).values[0].shape
        (4, [0, 0, 1, 1], (4, 1))
    """

    name = "tables"

    def __init__(self, data: TableData) -> None:
        """Hold the table."""
        names = tuple(name for column in data.columns for name in column.inputs)
        self.data = data
        super().__init__(
            Contexts(
                inputs=data.inputs,
                cluster=data.clusters,
                label=data.labels,
                domain=data.domains,
                splits=data.splits,
                input_names=names,
                output_names=data.class_names,
                domain_names=data.domain_names,
            )
        )

    @property
    def train_domains(self) -> tuple[int, ...]:
        """Domains of the training rows, ascending."""
        return self.data.train_domains


@dataclass(frozen=True, eq=False)
class ColumnValues(InputFactor):
    """One column at values.

    Attributes:
        data: The table.
        column: The column.
        levels: What its inputs are at each level ``[levels, width]``.
    """

    data: TableData
    column: Column
    levels: Floats
    name: str
    labels: tuple[str, ...]
    doses: tuple[float, ...] | None = None

    def edit(self, cells: ArrayCells) -> ArrayCells:
        """Return cells with the column at every level."""
        return stack([_with(cells, [self.column], level) for level in self.levels])

    def observed(self, columns: Ints) -> Ints:
        """Return the level that rows have; -1 where it is none of them."""
        own = self.data.inputs[columns, self.column.slots].double().numpy()
        same = np.isclose(own[None], self.levels[:, None], rtol=1e-6, atol=1e-6).all(axis=2)
        return np.where(same.any(axis=0), same.argmax(axis=0), -1).astype(np.int64)


@dataclass(frozen=True, eq=False)
class FromRows(InputFactor):
    """Columns as they are, then as donors have them.

    Attributes:
        data: The table.
        columns: The columns.
        donors: The row that each row gets them from ``[levels - 1, n]``; -1 where there is none.
    """

    data: TableData
    columns: Sequence[Column]
    donors: Ints
    name: str
    labels: tuple[str, ...]

    def edit(self, cells: ArrayCells) -> ArrayCells:
        """Return cells as they are and with the columns of every donor; without a donor they are not measured."""
        inputs = self.data.inputs.numpy()
        made = [cells]
        for donors in self.donors:
            given = donors[cells.ctx]
            values = np.concatenate([inputs[given, column.slots] for column in self.columns], axis=-1)
            made.append(_with(cells, self.columns, values).only(given >= 0))
        return stack(made)


@dataclass(frozen=True, eq=False)
class ColumnUnits(InputUnits):
    """Columns that are there, or at their baseline.

    Attributes:
        data: The table.
        columns: The columns.
        baseline: ``typical`` or ``mean``.
        off: Inputs of all columns where they are off ``[d]``; fitted.
    """

    data: TableData
    columns: Sequence[Column]
    baseline: str
    names: tuple[str, ...]
    off: Floats | None = None
    name: str = "columns"

    def fit(self, executor: Executor, rows: Ints) -> ColumnUnits:
        """Return the units with baselines of contexts ``rows``."""
        return replace(self, off=_baseline(self.data, rows, self.baseline))

    def keep(self, cells: ArrayCells, on: Bools) -> ArrayCells:
        """Return cells with the columns of each row of ``on [m, k]`` as they are, the others at their baseline."""
        off = _baseline(self.data, self.data.rows("train"), self.baseline) if self.off is None else self.off
        made = []
        for row in on:
            gone = [column for column, there in zip(self.columns, row, strict=True) if not there]
            values = np.concatenate([off[column.slots] for column in gone]) if gone else off[:0]
            made.append(_with(cells, gone, values))
        return stack(made)


def bind(spec: factors.TableFactor, to: Binding) -> Factor | Units:
    """Return a factor or units of the table that the binding's contexts are.

    Raises:
        ConfigError: If a column, a category or a domain does not exist.
    """
    data = to.executor.subject.data  # type: ignore[attr-defined]
    if isinstance(spec, factors.Column):
        return _column(data, spec)
    if isinstance(spec, factors.Columns):
        chosen = [_found(data, name) for name in spec.columns or data.column_names]
        return ColumnUnits(data, chosen, spec.baseline, tuple(column.name for column in chosen))
    if isinstance(spec, factors.Donor):
        return _donor(data, spec, to.rng)
    assert isinstance(spec, factors.Permute)
    chosen = [_found(data, name) for name in spec.columns]
    name = f"{'+'.join(spec.columns)} permuted within {spec.within}"
    return FromRows(data, chosen, _permuted(data, spec.within, to.rng)[None], name, (AS_IT_IS, "permuted"))


def _column(data: TableData, spec: factors.Column) -> ColumnValues:
    column = _found(data, spec.column)
    values: Sequence[Any] = spec.values
    if not values and column.categories is not None:
        values = column.categories
    elif not values:
        own = column.decode(data.inputs[data.rows("train"), column.slots].double().numpy())
        known = np.array([value for value in own if value is not None], dtype=float)
        values = [float(f"{value:.6g}") for value in np.unique(np.quantile(known, QUANTILES))]
    if len(set(map(str, values))) < 2 or len(set(map(str, values))) < len(values):
        raise ConfigError(f"factor column: {spec.column} needs two values or more, all different, got {list(values)}")
    levels = np.stack([column.encode(value) for value in values])
    doses = None if column.categories is not None else tuple(float(value) for value in values)
    return ColumnValues(data, column, levels, spec.column, tuple(map(str, values)), doses)


def _donor(data: TableData, spec: factors.Donor, rng: np.random.Generator) -> FromRows:
    for name in spec.domains:
        if name not in data.domain_names:
            raise ConfigError(f"factor donor: no such domain {name!r}; {nearest(name, data.domain_names)}")
    chosen = [_found(data, name) for name in spec.columns]
    domains = [data.domain_names.index(name) for name in spec.domains] or np.unique(data.domains).tolist()
    donors = np.full((len(domains), len(data.labels)), -1, np.int64)
    for level, domain in enumerate(domains):
        for label in range(data.n_classes) if spec.same_label else (None,):
            alike = np.ones(len(data.labels), bool) if label is None else data.labels == label
            pool = np.flatnonzero(alike & (data.domains == domain))
            to = np.flatnonzero(alike & (data.domains != domain))
            if len(pool):
                donors[level, to] = rng.choice(pool, len(to))
    labels = (AS_IT_IS, *(f"from {data.domain_names[domain]}" for domain in domains))
    return FromRows(data, chosen, donors, f"{'+'.join(spec.columns)} of a donor", labels)


def _permuted(data: TableData, within: str, rng: np.random.Generator) -> Ints:
    """Return the row that each row gets its columns from, another one of its split and group; -1 without another."""
    split = np.zeros(len(data.labels), np.int64)
    for number, rows in enumerate(data.splits.values()):
        split[rows] = number
    same = {"domain": data.domains, "label": data.labels, "all": np.zeros_like(split)}[within]
    donors = np.full(len(split), -1, np.int64)
    for group in np.unique(np.stack([split, same]), axis=1).T:
        members = np.flatnonzero((split == group[0]) & (same == group[1]))
        order = rng.permutation(members)
        if len(order) > 1:
            donors[order] = np.roll(order, 1)  # one cycle: nobody keeps its own
    return donors


def _baseline(data: TableData, rows: Ints, kind: str) -> Floats:
    means: Floats = data.inputs[rows].double().mean(dim=0).numpy()
    if kind == "mean":
        return means
    for column in data.columns:
        if column.categories is not None:
            means[column.slots] = np.eye(column.width)[means[column.slots].argmax()]
    return means


def _found(data: TableData, name: str) -> Column:
    try:
        return data.column(name)
    except ConfigError as error:
        raise ConfigError(f"experiment.factor: {error}") from None


def _with(cells: ArrayCells, columns: Sequence[Column], values: Any) -> ArrayCells:
    """Return cells with the inputs of columns at ``values [..., widths]``."""
    changed = cells.values[0].copy()
    start = 0
    for column in columns:
        changed[..., column.slots] = values[..., start : start + column.width]
        start += column.width
    return cells.with_value(0, changed)
