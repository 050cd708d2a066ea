"""A cache on disk shared by processes; it is safe to delete at any time.

It is in ``$PARIBUS_CACHE``, else in ``$XDG_CACHE_HOME/paribus`` or ``~/.cache/paribus``; ``PARIBUS_CACHE=off``
turns it off. An entry is named by everything that decides it, so an old one is never taken for a new one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

VARIABLE = "PARIBUS_CACHE"
OFF = "off"


def folder() -> Path | None:
    """Return where entries are kept, None where they are turned off; the folder need not exist."""
    named = os.environ.get(VARIABLE)
    if named == OFF:
        return None
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "paribus"


def get(name: str) -> bytes | None:
    """Return an entry, None where there is none or it cannot be read."""
    place = folder()
    if place is None:
        return None
    try:
        return (place / name).read_bytes()
    except OSError:
        return None


def put(name: str, content: bytes) -> None:
    """Keep an entry under a name such as ``digests/abc``; where it cannot be written it is not kept."""
    place = folder()
    if place is None:
        return
    with contextlib.suppress(OSError):
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            os.replace(temporary, file)  # two processes may write at once: the last one wins, whole
        except OSError:
            os.unlink(temporary)
            raise
