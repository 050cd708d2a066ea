"""Folders of options in installed packages: entry points ``conf`` of the group ``paribus``."""

from __future__ import annotations

import importlib.util
import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

GROUP = "paribus"
"""An entry point ``conf = "my_package.conf"`` is a folder of options; any other one is a subject under its name."""
CONF = "conf"
log = logging.getLogger("paribus")


@cache
def folders() -> dict[Path, str]:
    """Return the folders of options of installed packages, with the name of the distribution that brings each.

    A package whose folder is missing is logged and left out.

    Example:
        >>> all(folder.is_dir() for folder in folders())
        True
    """
    found: dict[Path, str] = {}
    for point in sorted(entry_points(group=GROUP, name=CONF), key=_distribution):
        place = _place(point.value)
        if place is None:
            log.warning("package %s: its folder of options, %s, is not there", _distribution(point), point.value)
        else:
            found.setdefault(place, _distribution(point))
    return found


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _place(package: str) -> Path | None:
    """Return the folder of a package, found without importing it (its parent is imported)."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(places[0]).resolve() if places and Path(places[0]).is_dir() else None
