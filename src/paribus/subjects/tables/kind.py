"""Tables as a subject: what their loaders give, and how that becomes contexts."""

from __future__ import annotations

from paribus.subjects.kind import Kind
from paribus.subjects.overlap import overlap, unlike
from paribus.subjects.tables.data import TableData, encoded_as
from paribus.subjects.tables.subject import TableSubject


def _shape(data: TableData) -> str:
    return f"{data.n_features} inputs, {data.n_classes} classes"


def _encoded(known: TableData | None, data: TableData) -> TableData | None:
    return None if known is None else encoded_as(known, data)


TABLES = Kind("tables", TableData, TableSubject, ("table", "mlp"), overlap, unlike, _shape, _encoded)
