"""What is to be said of a table's file before it is read: columns by their roles, and how rows become splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from paribus.errors import ConfigError, DataError
from paribus.spec import DataSpec, field, path_of
from paribus.subjects.columns_by_role import check_roles


@dataclass(frozen=True)
class TableFields(DataSpec):
    """The variables of a table, checked against each other."""

    path: str = field(file=True, help="The .csv, .jsonl or .parquet file.")
    label: str = field(help="Column that holds the class.")
    domain: str | None = field(None, help="Column that says where a row comes from (hospital); null for none.")
    cluster: str | None = field(None, help="Column of what rows share (patient); null: every row is by itself.")
    split: str | None = field(None, help="Column with train, id_val, val and ood; null: by domains and shares.")
    columns: list[str] = field([], help="Columns the model sees; empty for all that have no other role.")
    leave_out: list[str] = field([], help="Columns that the model does not see.")
    categorical: list[str] = field([], help="Columns of numbers that are names (a code, a ward).")
    missing: str = field(
        "refuse",
        choices=("refuse", "drop", "mean", "category"),
        help="Missing values: none allowed; the row left out; the training mean; a category (an input) of their own.",
    )
    missing_values: list[str] = field(["", "NA", "NaN", "nan", "null"], help="What a missing value is in a CSV file.")
    train_domains: list[str] = field([], help="Training domains; empty for all others.")
    val_domain: str | None = field(None, help="Domain for every choice; null holds out clusters of the training ones.")
    ood_domain: str | None = field(None, help="Domain that is only reported; null for none.")
    classes: list[str] = field([], help="The classes to keep, in their order; empty for all.")
    id_val_share: float = field(0.2, above=0.0, below=1.0, help="Share of the training clusters held out for id_val.")
    standardise: bool = field(True, help="Whether numbers get mean 0 and sd 1 over the training rows.")
    n_train: int | None = field(None, low=2, help="Training rows; null for all.")
    balance: bool = field(False, help="Whether n_train is drawn equally from each domain x class.")
    seed: int = field(0, help="Draws held-out clusters and training rows.")

    def input_files(self) -> Mapping[str, Path]:
        """Return the file.

        Raises:
            DataError: If it is a folder, which would be read file by file before anything is said.
        """
        if path_of(self.path).is_dir():
            raise DataError(f"table {self.path}: is a folder; a .csv, .jsonl or .parquet file is needed")
        return super().input_files()

    def check(self) -> None:
        """Check that no column has two roles, and that domains are named only where a column says them.

        Raises:
            ConfigError: If one has, or they are named without need.
        """
        used = check_roles(self)
        for name in self.columns:
            if name in used and used[name] in ("label", "split"):
                raise ConfigError(f"Table.columns: {name!r} is the {used[name]}; a model that sees it learns nothing")
            if name in self.leave_out:
                raise ConfigError(f"Table.leave_out: {name!r} is named in columns, too")
