"""Paths of artifacts, kept inside the folder they belong to."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

from paribus.errors import DataError


def safe_path(path: str) -> str:
    """Return an artifact's relative path in normal form.

    Raises:
        DataError: If it is absolute, empty, or would leave the run's folder.

    Example:
        >>> safe_path("tables/effects.parquet")
        'tables/effects.parquet'
    """
    parts = PurePosixPath(path.replace("\\", "/"))
    drive = len(path) > 1 and path[1] == ":"
    if not path.strip() or parts.is_absolute() or drive or ".." in parts.parts or "\x00" in path or not parts.parts:
        raise DataError(f"artifact {path!r}: must be a path inside the run, such as tables/ablation.parquet")
    return str(parts)


def inside(folder: Path, path: str) -> Path:
    """Return ``folder / path``, having followed links.

    Raises:
        DataError: If that lies outside ``folder``.
    """
    return under(folder.resolve(), path)


def under(root: Path, path: str) -> Path:
    """Return the same as :func:`inside` for a folder whose own links have been followed.

    Raises:
        DataError: If that lies outside ``root``.
    """
    place = str(root)
    for part in PurePosixPath(safe_path(path)).parts:
        place = os.path.join(place, part)
        if os.path.islink(place):
            target = (root / safe_path(path)).resolve()
            if not target.is_relative_to(root):
                raise DataError(f"artifact {path!r}: leads out of the run's folder")
            return target
    return Path(place)


def local_path(uri: str) -> Path | None:
    """Return the folder behind a local artifact URI (a path or ``file:``), None for a remote one.

    Example:
        >>> local_path("https://example.org/x") is None
        True
    """
    parsed = urlparse(uri)
    if parsed.scheme == "file":
        return Path(unquote(parsed.path))
    if parsed.scheme == "" or (len(parsed.scheme) == 1 and uri[1:2] == ":"):
        return Path(uri)
    return None
