"""The ``table`` option of the ``data`` group: a CSV, JSONL or parquet file with one example per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.errors import ConfigError
from paribus.spec import field
from paribus.subjects.columns_by_role import RowsFromFile


@dataclass(frozen=True)
class Table(RowsFromFile, kind="data/table"):
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

    columns: list[str] = field([], help="Columns the model sees; empty for all that have no other role.")
    leave_out: list[str] = field([], help="Columns that the model does not see.")
    categorical: list[str] = field([], help="Columns of numbers that are names (a code, a ward).")
    missing: str = field(
        "refuse",
        choices=("refuse", "drop", "mean", "category"),
        help="Missing values: none allowed; the row left out; the training mean; a category (an input) of their own.",
    )
    standardise: bool = field(True, help="Whether numbers get mean 0 and sd 1 over the training rows.")

    def check(self) -> None:
        """Check that no column has two roles, and that domains are named only where a column says them.

        Raises:
            ConfigError: If one has, or they are named without need.
        """
        used = self.roles()
        for name in self.columns:
            if name in used and used[name] in ("label", "split"):
                raise ConfigError(f"Table.columns: {name!r} is the {used[name]}; a model that sees it learns nothing")
            if name in self.leave_out:
                raise ConfigError(f"Table.leave_out: {name!r} is named in columns, too")
