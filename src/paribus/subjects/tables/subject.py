"""Tables for the measurement layer: rows as contexts; columns as factors and as units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from paribus.errors import ConfigError
from paribus.measure import ArraySubject
from paribus.measure.binding import Binding
from paribus.measure.factor import Factor, Units
from paribus.measure.slots import AS_IT_IS, SlotsOfDonors, SlotUnits, SlotValues, donors_of_group, others_within
from paribus.subjects.selection import domain_number
from paribus.subjects.tables import factors
from paribus.subjects.tables.data import EncodedColumn, TableData

QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)


class TableSubject(ArraySubject):
    """The rows of a table as contexts; a cell holds a row's inputs.

    Attributes:
        data: The table.

    Example:
        >>> import torch
        >>> n = np.arange(4)
        >>> data = TableData(
        ...     torch.zeros(4, 1), (EncodedColumn("age", 0),), n % 2, n * 0, n // 2, ("all",), ("no", "yes"),
        ...     {"train": n}, digest="", train_domains=(0,),
        ... )
        >>> subject = TableSubject(data)
        >>> len(subject), subject.cluster.tolist(), subject.cells(n).values[0].shape
        (4, [0, 0, 1, 1], (4, 1))
    """

    name = "tables"

    def __init__(self, data: TableData) -> None:
        """Hold the table."""
        self.data = data
        names = tuple(name for column in data.columns for name in column.inputs)
        super().__init__(data.contexts(data.inputs, input_names=names))

    def usual_factors(self, most_levels: int) -> list[factors.Column]:
        """Return every column, at values that are evenly spread over those it takes by itself."""
        found = []
        for column in self.data.columns:
            own = _own_values(self.data, column)
            if len(own) > 1:
                spread = np.linspace(0, len(own) - 1, min(len(own), most_levels)).round().astype(int)
                values = [own[one] for one in np.unique(spread).tolist()]
                found.append(factors.Column(column=column.name, values=values))
        return found


def bind(spec: factors.TableFactor, to: Binding) -> Factor | Units:
    """Return a factor or units of the table that the binding's contexts are.

    Raises:
        ConfigError: If a column, a category or a domain does not exist.
    """
    data = to.executor.subject.data  # type: ignore[attr-defined]
    if isinstance(spec, factors.Column):
        return _column(data, spec)
    if isinstance(spec, factors.Columns):
        return _columns(data, spec)
    if isinstance(spec, factors.Donor):
        return _donor(data, spec, to.rng)
    assert isinstance(spec, factors.Permute)
    return _permuted(data, spec, to.rng)


def _column(data: TableData, spec: factors.Column) -> SlotValues:
    column = _found(data, spec.column)
    values: Sequence[Any] = spec.values or _own_values(data, column)
    if len(set(map(str, values))) < 2 or len(set(map(str, values))) < len(values):
        raise ConfigError(f"factor column: {spec.column} needs two values or more, all different, got {list(values)}")
    levels = np.stack([column.encode(value) for value in values])
    doses = None if column.categories is not None else tuple(float(value) for value in values)
    return SlotValues(data.inputs.numpy(), column.slots, levels, spec.column, tuple(map(str, values)), doses)


def _own_values(data: TableData, column: EncodedColumn) -> list[Any]:
    """Return the categories of a column, or quantiles of what training rows have."""
    if column.categories is not None:
        return list(column.categories)
    own = column.decode(data.inputs[data.rows("train"), column.slots].double().numpy())
    known = np.array([value for value in own if value is not None], dtype=float)
    return [float(f"{value:.6g}") for value in np.unique(np.quantile(known, QUANTILES))]


def _columns(data: TableData, spec: factors.Columns) -> SlotUnits:
    chosen = [_found(data, name) for name in spec.columns or data.column_names]
    typical = spec.baseline == "typical"
    onehot = [column.slots for column in data.columns if typical and column.categories is not None]
    slots, names = [column.slots for column in chosen], tuple(column.name for column in chosen)
    return SlotUnits(data.inputs.numpy(), slots, onehot, data.rows("train"), names)


def _donor(data: TableData, spec: factors.Donor, rng: np.random.Generator) -> SlotsOfDonors:
    domains = [domain_number(name, data.domain_names) for name in spec.domains] or np.unique(data.domains).tolist()
    alike = data.labels if spec.same_label else np.zeros_like(data.labels)
    donors = np.stack([donors_of_group(data.domains, domain, alike, rng) for domain in domains])
    labels = (AS_IT_IS, *(f"from {data.domain_names[domain]}" for domain in domains))
    return SlotsOfDonors(
        data.inputs.numpy(), _slots(data, spec), donors, f"{'+'.join(spec.columns)} of a donor", labels
    )


def _permuted(data: TableData, spec: factors.Permute, rng: np.random.Generator) -> SlotsOfDonors:
    """Return columns as another row of the same split and group has them."""
    split = np.zeros(len(data.labels), np.int64)
    for number, rows in enumerate(data.splits.values()):
        split[rows] = number
    same = {"domain": data.domains, "label": data.labels, "all": np.zeros_like(split)}[spec.within]
    groups = np.unique(np.stack([split, same]), axis=1, return_inverse=True)[1].reshape(-1)
    name = f"{'+'.join(spec.columns)} permuted within {spec.within}"
    donors = others_within(groups, rng)[None]
    return SlotsOfDonors(data.inputs.numpy(), _slots(data, spec), donors, name, (AS_IT_IS, "permuted"))


def _slots(data: TableData, spec: factors.Donor | factors.Permute) -> list[slice]:
    return [_found(data, name).slots for name in spec.columns]


def _found(data: TableData, name: str) -> EncodedColumn:
    try:
        return data.column(name)
    except ConfigError as error:
        raise ConfigError(f"experiment.factor: {error}") from None
