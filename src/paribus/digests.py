"""Digests of files: each file is read once while it stays unchanged."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

Signature = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of change of content and of status, in nanoseconds."""

THREADS = 4
KEPT = 500_000
SETTLED_NS = 2_000_000_000
"""A file touched less than this before it is looked at is read every time: clocks of file systems are coarse, so a
second change could leave the signature as it is."""
ATTEMPTS = 3

_known: OrderedDict[Signature, str] = OrderedDict()
_lock = threading.Lock()


def signature(path: str | os.PathLike[str]) -> Signature:
    """Return what tells a file's present content from any other without reading it.

    Raises:
        OSError: If there is no such file.
    """
    return signature_of(os.stat(path))


def signature_of(found: os.stat_result) -> Signature:
    """Return the signature in what ``os.stat`` said."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content.

    Raises:
        OSError: If it cannot be read, is no regular file, or changes while it is read.
    """
    known = known_digest(path)
    if known is not None:
        return known
    for _ in range(ATTEMPTS):
        with open(path, "rb") as stream:
            before = signature_of(os.fstat(stream.fileno()))
            found = hashlib.file_digest(stream, "sha256").hexdigest()
            if signature_of(os.fstat(stream.fileno())) == before:
                _keep(before, found)
                return found
    raise OSError(errno.EBUSY, "changes while it is read", str(path))


def file_digests(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return the digests of many files, read a few at a time.

    Raises:
        OSError: As :func:`file_digest`.
    """
    found = [known_digest(path) for path in paths]
    unknown = [place for place, digest in enumerate(found) if digest is None]
    with ThreadPoolExecutor(THREADS) as pool:
        for place, digest in zip(unknown, pool.map(lambda place: file_digest(paths[place]), unknown), strict=True):
            found[place] = digest
    return [digest for digest in found if digest is not None]


def known_digest(path: str | os.PathLike[str]) -> str | None:
    """Return the digest of a file that was read before and is as it was then; None otherwise.

    Raises:
        OSError: If there is no such file, or it is no regular one.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # asked before it is opened: a pipe would wait for a writer
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return _kept(signature_of(status))


def names_digest(names: Iterable[str]) -> str:
    """Return a hash of names, whatever their order; of a folder's listing, for example."""
    return hashlib.sha256("\0".join(sorted(names)).encode("utf-8", "surrogateescape")).hexdigest()


def files_below(folder: Path) -> list[Path]:
    """Return the regular files in a folder and the folders in it, sorted; hidden ones are left out."""
    found = []
    for here, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        found += [Path(here, name) for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.is_file())


def forget() -> None:
    """Forget every digest, so that all files are read again."""
    with _lock:
        _known.clear()


def _kept(key: Signature) -> str | None:
    with _lock:
        found = _known.get(key)
        if found is not None:
            _known.move_to_end(key)
        return found


def _keep(key: Signature, digest: str) -> None:
    if time.time_ns() - max(key[3], key[4]) < SETTLED_NS:
        return
    with _lock:
        _known[key] = digest
        while len(_known) > KEPT:
            _known.popitem(last=False)
