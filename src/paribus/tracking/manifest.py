"""Checks that a run's files are those that its result lists."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from paribus.digests import file_digest
from paribus.errors import DataError
from paribus.results.schema import Artifact
from paribus.tracking.artifacts import under


def check_folder(folder: Path, artifacts: Mapping[str, Artifact], *, absent_is_fine: bool = False) -> None:
    """Compare files with a result's list: existence, size and content.

    Args:
        folder: Where the run's files are.
        artifacts: What the result names.
        absent_is_fine: Check only the files that are present (copies of some of a server's files).

    Raises:
        DataError: If one is missing or was changed.
    """
    root = folder.resolve()
    for name, expected in artifacts.items():
        path = under(root, name)
        size = _size(path)
        if size is None:
            if absent_is_fine:
                continue
            raise DataError(f"its file {name} is missing")
        if size != expected.size:
            raise _other_size(name, size, expected)
        if file_digest(path) != expected.digest:
            raise DataError(f"its file {name} was changed after the run finished")


def _size(path: Path) -> int | None:
    """Return how many bytes a file has, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def check_listing(sizes: Callable[[str], Mapping[str, int]], artifacts: Mapping[str, Artifact]) -> None:
    """Compare a server's list of files with a result's list: existence and size.

    Args:
        sizes: Returns the files directly in a folder (empty: the top one) with their sizes in bytes.
        artifacts: What the result names.

    Raises:
        DataError: If one is missing or has another size.
    """
    folders = sorted({str(PurePosixPath(name).parent) for name in artifacts})
    listed = {name: size for folder in folders for name, size in sizes("" if folder == "." else folder).items()}
    for name, expected in artifacts.items():
        if name not in listed:
            raise DataError(f"its file {name} is missing")
        if listed[name] != expected.size:
            raise _other_size(name, listed[name], expected)


def _other_size(name: str, found: int, expected: Artifact) -> DataError:
    return DataError(f"its file {name} has {found} bytes, not {expected.size} as when the run finished")
