"""Updates the artifact paths of runs after a project folder was moved or copied."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from paribus.errors import DataError
from paribus.tracking.embedded import copy_database
from paribus.tracking.local import DATABASE, FOLDER_TAG, OLD_FOLDER_TAG, locked, moved_from

COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def relocate(folder: Path) -> int:
    """Rewrite the artifact paths of the embedded store in ``folder`` to where it is now.

    The database is copied to ``mlflow.db.before_relocate`` first.

    Returns:
        The number of paths rewritten; 0 if it was not moved.

    Raises:
        DataError: If there is no store in the folder.
    """
    database = folder / DATABASE
    if not database.is_file():
        raise DataError(f"{database}: no such file; run this in the folder that holds {DATABASE}")
    changed = 0
    with locked(folder):
        while (old := moved_from(folder)) is not None:
            if changed == 0:
                copy_database(database, database.with_name(DATABASE + ".before_relocate"))
            rewritten = _rewrite(database, old, folder.resolve())
            if rewritten == 0:
                raise DataError(f"{database}: paths under {old} could not be rewritten")
            changed += rewritten
    return changed


def _rewrite(database: Path, old: Path, new: Path) -> int:
    """Replace the prefix ``old`` by ``new`` in every stored path, in one transaction."""
    changed = 0
    with closing(sqlite3.connect(database, timeout=20.0)) as connection, connection:
        present = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
        for table, column in COLUMNS:
            if table not in present:
                continue
            for before, after in ((old.as_uri(), new.as_uri()), (str(old), str(new))):
                cursor = connection.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) "
                    f"where {column} = ? or substr({column}, 1, ?) = ?",
                    (after, len(before) + 1, before, len(before) + 1, before + "/"),
                )
                changed += cursor.rowcount
        cursor = connection.execute(
            "update experiment_tags set value = ? where key in (?, ?) and value = ?",
            (str(new), FOLDER_TAG, OLD_FOLDER_TAG, str(old)),
        )
        changed += cursor.rowcount
    return changed
