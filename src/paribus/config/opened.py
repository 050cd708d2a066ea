"""Records the files opened for reading while something is loaded or run.

Python reports every opening of a file and every listing of a folder to an audit hook. That covers ``open``,
``os.open``, ``pathlib``, NumPy, pandas' own parsers, PIL and ``torch.load``. It does not cover files that libraries
open in compiled code of their own (safetensors, HDF5, Arrow, video decoders, memory maps made there), other processes,
the network, databases, environment variables, and checks whether a file exists. Files that a spec declares, or that a
parameter annotated as a path names, are recorded in any case.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import source_from_cache
from pathlib import Path
from types import FrameType
from typing import Any

from paribus import digests
from paribus.config.own_code import is_installed
from paribus.spec import is_own

READING = ("subjects", "models", "features")
"""Subpackages of Paribus whose opened files are inputs; those of others (stores, workspaces, figures) are not."""
OPENING = "open"
_EVENTS = frozenset((OPENING, "os.listdir", "os.scandir"))
"""What is looked at of all that Python reports: a figure alone is reported 8,000 times."""
SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/run/", "/usr/share/", "/usr/lib/", "/usr/lib64/")


@dataclass
class Opened:
    """What was opened, by absolute path.

    Attributes:
        files: Files with their signatures when they were first opened; None for a missing one.
        folders: Folders that were listed, with the names in them.
        code: Python sources that were imported.
        written: Files opened for writing; one not read before that is no input.
    """

    files: dict[str, digests.Signature | None] = field(default_factory=dict)
    folders: dict[str, frozenset[str]] = field(default_factory=dict)
    code: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)

    def add(self, other: Opened) -> None:
        """Add the entries of another one; existing entries stay."""
        self.files = {**other.files, **self.files}
        self.folders = {**other.folders, **self.folders}
        self.code |= other.code
        self.written |= other.written

    def replaced(self) -> bool:
        """Return whether a file that was read has been written or replaced since, with any content."""
        return any(
            known is not None and path not in self.written and os.path.exists(path) and digests.signature(path) != known
            for path, known in self.files.items()
        )

    def without(self, named: Iterable[str]) -> Opened:
        """Return a copy without what lies at or below one of the paths ``named``."""
        places = tuple(named)
        below = tuple(f"{place.rstrip(os.sep)}{os.sep}" for place in places)

        def stays(path: str) -> bool:
            return path not in places and not path.startswith(below)

        return Opened(
            {path: known for path, known in self.files.items() if stays(path)},
            {path: names for path, names in self.folders.items() if stays(path)},
            {path for path in self.code if stays(path)},
            set(self.written),
        )


_recordings: list[Opened] = []
_hidden: dict[str, Opened] = {}
"""Files opened in this process by the code of each user module, at import or in an earlier run."""
_named: set[str] = set()
"""Paths that some request named; opening them counts for the request that names them."""
_inside = threading.local()
_installed = False


def watch() -> None:
    """Start recording opened files, until the process ends."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)


@contextmanager
def recording() -> Iterator[Opened]:
    """Collect the files opened by all threads while the block runs."""
    watch()
    found = Opened()
    _recordings.append(found)
    try:
        yield found
    finally:
        _recordings[:] = [one for one in _recordings if one is not found]


def again(opened: Opened) -> None:
    """Record as opened now the files that were opened when a cached object was made."""
    for one in _recordings:
        one.add(opened)


def name_path(path: str) -> None:
    """Remember a path that a request names."""
    _named.add(os.path.abspath(os.path.expanduser(path)))


def hidden(modules: Iterable[str]) -> Opened:
    """Return the files that the code of user modules opened in this process and no request names."""
    found = Opened()
    for module in modules:
        if module in _hidden:
            found.add(_hidden[module])
    return found.without(_named)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS:
        return
    if getattr(_inside, "hook", False):
        return
    _inside.hook = True
    try:
        if event == OPENING:
            _see_open(*arguments[:3])
        else:
            _see_listing(arguments[0])
    except Exception:
        pass
    finally:
        _inside.hook = False


def _see_open(path: Any, mode: Any, flags: Any) -> None:
    place = _absolute(path)
    if place is None or _is_machinery(place):
        return
    if place.endswith(".pyc"):
        place = source_from_cache(place)
    frame = sys._getframe(2)
    if place.endswith(".py"):
        if _name(frame) in ("importlib._bootstrap_external", "_frozen_importlib_external"):
            _note(frame, lambda one: one.code.add(place))
        return  # other reads of a source are for messages
    if isinstance(flags, int) and flags & os.O_ACCMODE != os.O_RDONLY:
        _note(frame, lambda one: one.written.add(place))
        return
    try:
        status = os.stat(place)
    except OSError:
        known = None
    else:
        if not stat.S_ISREG(status.st_mode):
            return
        known = digests.signature_of(status)
    _note(frame, lambda one: None if place in one.written else one.files.setdefault(place, known))


def _see_listing(path: Any) -> None:
    place = _absolute("." if path is None else path)
    frame = sys._getframe(2)
    if place is None or _is_machinery(place) or (_name(frame) or "").startswith(("importlib._boot", "_frozen_import")):
        return
    opener = _opener(frame)
    if opener is not None and is_own(opener):
        return  # a spec of Paribus names its files itself
    names = frozenset(name for name in os.listdir(place) if not name.startswith(".") and name != "__pycache__")
    _note(frame, lambda one: one.folders.setdefault(place, names))


def _note(frame: FrameType, add: Any) -> None:
    opener = _opener(frame)
    if opener is not None and is_own(opener):
        if opener.split(".")[1:2] and opener.split(".")[1] not in READING:
            return
    elif opener is not None:
        add(_hidden.setdefault(opener, Opened()))
    for one in list(_recordings):
        add(one)


def _opener(frame: FrameType | None) -> str | None:
    """Return the module of Paribus or of a user that an opening comes from; None where neither is on the stack."""
    while frame is not None:
        name = _name(frame)
        if name is not None and not _is_library(name, frame.f_code.co_filename):
            return name
        frame = frame.f_back
    return None


def _name(frame: FrameType) -> str | None:
    found = frame.f_globals.get("__name__")
    return found if isinstance(found, str) else None


@cache
def _is_library(name: str, file: str) -> bool:
    if is_own(name):
        return False
    if name == "__main__":
        return _is_machinery(file) or os.path.basename(file) in ("pytest", "paribus")
    return name.partition(".")[0] in sys.stdlib_module_names or is_installed(file) or file.startswith("<")


def _absolute(path: Any) -> str | None:
    if isinstance(path, int):
        return None
    found = os.fsdecode(path)
    return os.path.abspath(found) if found else None


def _is_machinery(path: str) -> bool:
    """Return whether a file belongs to the system, to Python, to installed packages, or to Paribus itself."""
    return path.startswith(_machinery()) or is_installed(path)


@cache
def _machinery() -> tuple[str, ...]:
    package = Path(__file__).resolve().parents[1]
    places = [str(package), str(package.parents[1] / "conf"), sys.prefix, sys.base_prefix, sys.exec_prefix]
    return (*SYSTEM, *(f"{place.rstrip('/')}/" for place in places if place.rstrip("/")))
