"""Data sets with one example per row of a file: which columns have a role, checked before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from paribus.errors import ConfigError, DataError
from paribus.spec import DataSpec, field, path_of

ROLES = ("label", "domain", "cluster", "split")


@dataclass(frozen=True)
class RowsFromFile(DataSpec):
    """Base of data sets with one example per row of a file, whose roles are columns and domains by name.

    Example:
        >>> from paribus.subjects.tables.table import Table
        >>> Table(path="patients.csv", label="outcome", domain="hospital").id_val_share
        0.2
    """

    path: str = field(file=True, help="The .csv, .jsonl or .parquet file.")
    label: str = field(help="Column that holds the class.")
    domain: str | None = field(None, help="Column that says where a row comes from (hospital); null for none.")
    cluster: str | None = field(None, help="Column of what rows share (patient); null: every row is by itself.")
    split: str | None = field(None, help="Column with train, id_val, val and ood; null: by domains and shares.")
    missing_values: list[str] = field(["", "NA", "NaN", "nan", "null"], help="What a missing value is in a CSV file.")
    train_domains: list[str] = field([], help="Training domains; empty for all others.")
    val_domain: str | None = field(None, help="Domain for every choice; null holds out clusters of the training ones.")
    ood_domain: str | None = field(None, help="Domain that is only reported; null for none.")
    classes: list[str] = field([], help="The classes to keep, in their order; empty for all.")
    id_val_share: float = field(0.2, above=0.0, below=1.0, help="Share of the training clusters held out for id_val.")
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

    @property
    def role_columns(self) -> dict[str, str]:
        """The columns that have a role, by role."""
        return {role: name for role in ROLES if (name := getattr(self, role)) is not None}

    def roles(self, further: Mapping[str, str] | None = None) -> dict[str, str]:
        """Check that no column has two roles, and that domains are named only where a column says them.

        Args:
            further: Other roles and their columns.

        Returns:
            The role of each column that has one.

        Raises:
            ConfigError: If a column has two, or domains are named without need.

        Example:
            >>> from paribus.subjects.tables.table import Table
            >>> Table(path="patients.csv", label="sick").roles()
            {'sick': 'label'}
        """
        kind = type(self).__name__
        used: dict[str, str] = {}
        for role, name in {**(further or {}), **self.role_columns}.items():
            if name in used:
                raise ConfigError(f"{kind}.{role}: the column {name!r} is already the {used[name]}")
            used[name] = role
        for role in ("train_domains", "val_domain", "ood_domain"):
            if not getattr(self, role):
                continue
            if self.domain is None:
                raise ConfigError(f"{kind}.{role}: name the column of domains (data.domain=COLUMN)")
            if self.split is not None:
                raise ConfigError(f"{kind}.{role}: the column {self.split!r} says the splits; leave one of the two out")
        return used
