"""Tables: rows with numeric and categorical columns, a label, and where there are any a domain and a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.subjects.tables.data import EncodedColumn, TableData, encoded_as
    from paribus.subjects.tables.factors import Column, Columns, Donor, Permute
    from paribus.subjects.tables.subject import TableSubject
    from paribus.subjects.tables.table import Table

__all__ = ["Column", "Columns", "Donor", "EncodedColumn", "Permute", "Table", "TableData", "TableSubject", "encoded_as"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
