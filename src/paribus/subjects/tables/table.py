"""The ``table`` option of the ``data`` group: a CSV, JSONL or parquet file with one example per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.subjects.tables.fields import TableFields

if TYPE_CHECKING:
    from paribus.subjects.tables.data import TableData


@dataclass(frozen=True)
class Table(TableFields, kind="data/table"):
    """A CSV, JSONL or parquet file with one example per row, columns by name.

    Numbers are standardised by the training rows. Categories become one input each, in the order of their names; those
    that no training row has leave all inputs of the column at zero. What is learned from the file besides the rows
    themselves (means, spreads, categories) comes from the split ``train``.

    Example:
        >>> Table(path="patients.csv", label="outcome", domain="hospital", cluster="patient").missing
        'refuse'
    """

    work: ClassVar[str] = "paribus.subjects.tables.reading"
    subject: ClassVar[str] = "tables"
    provides: ClassVar[tuple[str, ...]] = ("n_features", "n_classes", "generator")

    def load(self) -> TableData:
        """Read the file.

        Raises:
            DataError: If it is missing, damaged or too large, a column is missing or unfit, or a split would be empty.
        """
        made: TableData = self.work_module().load(self)
        return made
