"""Digests of files; an unchanged file is read only once."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

from paribus import disk_cache

T = TypeVar("T")
Signature = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of change of content and of status, in nanoseconds."""

THREADS = 4
KEPT = 1_000_000
MANY = 2_000
"""Digests of this many files together are kept for the next process too, in :mod:`paribus.disk_cache`."""
SETTLED_NS = 2_000_000_000
"""A file touched less than this before it is looked at is read every time: clocks of file systems are coarse, so a
second change could leave the signature as it is."""
ATTEMPTS = 3

_PACKED = struct.Struct("=5Q")
_ENTRY = _PACKED.size + hashlib.sha256().digest_size
_known: OrderedDict[bytes, bytes] = OrderedDict()
"""Digests by packed signature: a quarter of the memory of tuples and texts."""
_recalled: set[str] = set()
_lock = threading.Lock()


def signature(path: str | os.PathLike[str]) -> Signature:
    """Return a signature of a file's present content without reading it.

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
    state, found = _at_rest(path, lambda stream: hashlib.file_digest(stream, "sha256").hexdigest())
    _keep(state, found)
    return found


def read(path: str | os.PathLike[str]) -> bytes:
    """Return a file's content; its digest is known from then on without another reading.

    Raises:
        OSError: If it cannot be read, is no regular file, or changes while it is read.
    """
    known_digest(path)  # refuses what is no regular file
    state, content = _at_rest(path, lambda stream: stream.read())
    if _kept(state) is None:
        _keep(state, hashlib.sha256(content).hexdigest())
    return content


def _at_rest(path: str | os.PathLike[str], take: Callable[[BufferedReader], T]) -> tuple[Signature, T]:
    """Return the signature of a file that did not change while something was taken from it, and what was."""
    for _ in range(ATTEMPTS):
        with open(path, "rb") as stream:
            before = signature_of(os.fstat(stream.fileno()))
            found = take(stream)
            if signature_of(os.fstat(stream.fileno())) == before:
                return before, found
    raise OSError(errno.EBUSY, "changes while it is read", str(path))


def file_digests(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return the digests of many files, read a few at a time.

    Raises:
        OSError: As :func:`file_digest`.
    """
    if len(paths) >= MANY:
        recall(paths)
    found = [known_digest(path) for path in paths]
    unknown = [place for place, digest in enumerate(found) if digest is None]
    if unknown:
        with ThreadPoolExecutor(THREADS) as pool:
            for place, digest in zip(unknown, pool.map(lambda place: file_digest(paths[place]), unknown), strict=True):
                found[place] = digest
    if len(paths) >= MANY and unknown:
        remember(paths)
    return [digest for digest in found if digest is not None]


def recall(paths: Sequence[str | os.PathLike[str]]) -> None:
    """Take over digests that an earlier process saved; each file's signature is checked again before use."""
    entry = _entry(paths)
    if entry in _recalled:
        return
    _recalled.add(entry)
    for key, digest in _remembered(entry).items():
        with _lock:
            _known.setdefault(key, digest)


def remember(paths: Sequence[str | os.PathLike[str]]) -> None:
    """Save the digests of many files for the next process, by their signatures."""
    entry = _entry(paths)
    digests = _remembered(entry)
    for path in paths:
        key = _packed(signature(path))
        with _lock:
            digest = _known.get(key)
        if digest is not None:
            digests.pop(key, None)
            digests[key] = digest
    latest = list(digests.items())[-KEPT:]
    disk_cache.put(entry, b"".join(key + digest for key, digest in latest))


def _remembered(entry: str) -> dict[bytes, bytes]:
    """Return digests by signature as an earlier process left them, the latest last; none where the entry is damaged."""
    content = disk_cache.get(entry) or b""
    if len(content) % _ENTRY:
        return {}
    starts = range(0, len(content), _ENTRY)
    middle = _PACKED.size
    return {content[start : start + middle]: content[start + middle : start + _ENTRY] for start in starts}


def _entry(paths: Sequence[str | os.PathLike[str]]) -> str:
    ends = os.path.commonpath([os.path.abspath(paths[0]), os.path.abspath(paths[-1])])
    return f"digests/{hashlib.sha256(os.fsencode(ends)).hexdigest()[:32]}"


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
    """Return a hash of names, whatever their order; of a folder's listing, for example.

    Example:
        >>> names_digest(["b", "a"]) == names_digest(["a", "b"])
        True
    """
    return hashlib.sha256("\0".join(sorted(names)).encode("utf-8", "surrogateescape")).hexdigest()


def files_below(folder: Path) -> list[Path]:
    """Return the regular files in a folder and the folders in it, sorted; hidden ones are left out.

    Raises:
        OSError: If the operating system's own files are in it, which have no end.
    """
    found: list[Path] = []
    inside: dict[str, frozenset[tuple[int, int]]] = {}
    for here, folders, names in os.walk(folder, followlinks=True):
        above = inside.pop(here, frozenset()) | {_place(here)}
        wanted = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        folders[:] = [name for name in wanted if _place(os.path.join(here, name)) not in above]  # links go in circles
        inside |= {os.path.join(here, name): above for name in folders}
        found += [Path(here, name) for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.is_file())


def _place(folder: str) -> tuple[int, int]:
    """Return what tells a folder from others.

    Raises:
        OSError: If it is one of the operating system's own.
    """
    status = os.stat(folder)
    if status.st_dev in _devices_of_the_system():
        raise OSError(errno.EINVAL, "has files of the operating system in it", folder)
    return status.st_dev, status.st_ino


@cache
def _devices_of_the_system() -> frozenset[int]:
    return frozenset(os.stat(folder).st_dev for folder in ("/proc", "/sys") if os.path.ismount(folder))


def forget() -> None:
    """Forget every digest, so that all files are read again."""
    with _lock:
        _known.clear()
        _recalled.clear()


def _packed(key: Signature) -> bytes:
    return _PACKED.pack(*(part & 0xFFFF_FFFF_FFFF_FFFF for part in key))


def _kept(signature: Signature) -> str | None:
    key = _packed(signature)
    with _lock:
        found = _known.get(key)
        if found is None:
            return None
        _known.move_to_end(key)
        return found.hex()


def _keep(key: Signature, digest: str) -> None:
    if time.time_ns() - max(key[3], key[4]) < SETTLED_NS:
        return
    with _lock:
        _known[_packed(key)] = bytes.fromhex(digest)
        while len(_known) > KEPT:
            _known.popitem(last=False)
