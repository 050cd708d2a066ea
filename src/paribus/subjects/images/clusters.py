"""Clusters of image files: by a pattern over their paths, or by a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from paribus.arrays import Ints
from paribus.errors import ConfigError, DataError

ALONE = (
    "Nothing says which images belong together (one patient, one slide), so every image is a cluster of its own: where "
    "some do, images of one may be in training and held out, and intervals are too narrow."
)
"""The warning on every result on images without clusters."""


def compiled(pattern: str, where: str) -> re.Pattern[str]:
    r"""Return a pattern with exactly one group.

    Raises:
        ConfigError: If it is no regular expression, or has no group or several.

    Example:
        >>> compiled(r"patient(\d+)_", "here").search("a/dog/patient07_3.png").group(1)
        '07'
    """
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{where}: {pattern!r} is no regular expression ({error})") from None
    if found.groups != 1:
        raise ConfigError(
            f"{where}: {pattern!r} has {found.groups} groups; exactly one is needed, around what names the cluster, "
            r"such as (patient\d+)_"
        )
    return found


def by_pattern(names: Sequence[str], pattern: str, where: str) -> Ints:
    r"""Return cluster numbers [n] of paths: equal where the pattern's group matches the same text.

    Args:
        names: Paths below the folder, with ``/``.
        pattern: Regular expression with one group, searched for in each path.
        where: The data set, for messages.

    Raises:
        DataError: If a path does not match.

    Example:
        >>> by_pattern(["a/p1_0.png", "b/p2_0.png", "a/p1_1.png"], r"(p\d+)_", "here").tolist()
        [0, 1, 0]
    """
    search = compiled(pattern, f"{where}: cluster_pattern").search
    found = [search(name) for name in names]
    wrong = [name for name, match in zip(names, found, strict=True) if match is None or match.group(1) is None]
    if wrong:
        raise DataError(f"{where}: cluster_pattern: {pattern!r} matches no part of {_first(wrong)}")
    return numbered([str(match.group(1)) for match in found if match is not None])


def by_table(names: Sequence[str], file: Path, where: str) -> Ints:
    """Return cluster numbers [n] of paths from a CSV with the columns ``path`` and ``cluster``.

    Raises:
        DataError: If the file is missing or has not the columns, a path has no row, or two rows that differ.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            if not {"path", "cluster"} <= set(rows.fieldnames or ()):
                raise DataError(f"{where}: cluster_file {file}: needs the columns path and cluster")
            known: dict[str, str] = {}
            for row in rows:
                name, cluster = str(row["path"]).replace("\\", "/"), str(row["cluster"])
                if not row["cluster"]:
                    raise DataError(f"{where}: cluster_file {file}: {name} has no cluster")
                if known.setdefault(name, cluster) != cluster:
                    raise DataError(f"{where}: cluster_file {file}: {name} has two clusters")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{where}: cluster_file {file}: cannot be read ({error})") from None
    lacking = [name for name in names if name not in known]
    if lacking:
        raise DataError(
            f"{where}: cluster_file {file}: has no row for {_first(lacking)}; paths are those below the folder"
        )
    return numbered([known[name] for name in names])


def numbered(values: Sequence[str]) -> Ints:
    """Return numbers [n] for texts, equal for equal ones, in the order of the sorted texts.

    Example:
        >>> numbered(["b", "a", "b"]).tolist()
        [1, 0, 1]
    """
    numbers: Ints = np.unique(np.asarray(values, dtype=str), return_inverse=True)[1].astype(np.int64)
    return numbers


def _first(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
