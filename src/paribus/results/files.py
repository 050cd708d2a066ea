"""Files that are renamed into place only when they are complete, and their digests."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from paribus.digests import file_digest
from paribus.results.schema import Artifact

PARTIAL = ".partial"
RESULT_FILE = "result.json"
"""The file of a run that finished; written once, after everything else."""
PARTIAL_FILE = "partial.json"
"""The file of a run that did not finish: the same, with what it had found by then."""
REPORT_FILE = "report.html"
"""The page about a run."""
TABLE_FOLDER = "tables"
ROWS_IN_JSON = 20_000
"""Larger tables are kept in their parquet file alone when a result is written to a folder."""
_NAME = re.compile(r"[a-z0-9_]+")


def check_name(name: str) -> str:
    """Return ``name`` if it is a safe file stem of lower-case letters, digits and underscores.

    Raises:
        ValueError: If it is not.

    Example:
        >>> check_name("level_effects")
        'level_effects'
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a table or figure must be named by [a-z0-9_]+, got {name!r}")
    return name


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a name beside ``path``; what is written under it takes the place of ``path`` in one step.

    The name belongs to this call alone, so that two processes writing the same file do not mix.

    Args:
        path: The file.
        durable: Wait until the content is on the disk before it gets its name (some 3 ms), so that not even a power
            failure leaves half of a file.

    Raises:
        OSError: If it cannot be written; nothing is left then, and an older file stays as it was.

    Example:
        >>> with replacing(Path("table.txt")) as unfinished:
        ...     _ = unfinished.write_text("rows")
        >>> Path("table.txt").read_text()
        'rows'
    """
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL}")
    try:
        yield partial
        if durable:
            _sync(partial)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> Path:
    """Write a text file in one step (UTF-8).

    Example:
        >>> from pathlib import Path
        >>> _ = write_text(Path("note.txt"), "hello")
        >>> Path("note.txt").read_text()
        'hello'
    """
    return write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file in one step.

    Example:
        >>> _ = write_bytes(Path("note.bin"), b"hello")
        >>> Path("note.bin").stat().st_size
        5
    """
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path


def copy(path: Path, target: Path) -> Path:
    """Copy a file in one step; the copy is on the disk when it has its name.

    Example:
        >>> _ = write_text(Path("a.txt"), "hello")
        >>> _ = copy(Path("a.txt"), Path("b.txt"))
        >>> Path("b.txt").read_text()
        'hello'
    """
    with replacing(target, durable=True) as partial:
        shutil.copyfile(path, partial)
    return target


def describe(path: Path) -> Artifact:
    """Return size and digest of a file (SHA-256).

    Raises:
        OSError: If it cannot be read.

    Example:
        >>> _ = write_text(Path("note.txt"), "hello")
        >>> describe(Path("note.txt")).digest[:8]
        '2cf24dba'
    """
    return Artifact(size=path.stat().st_size, digest=file_digest(path))


def _sync(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
