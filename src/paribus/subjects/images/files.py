"""Which files are images, and digests of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from paribus import digests
from paribus.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
THREADS = max(4, os.cpu_count() or 1)


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file; kept while the file stays unchanged.

    Raises:
        DataError: If it cannot be read.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "a.bin"
        >>> _ = place.write_bytes(b"pixels")
        >>> file_digest(place)[:8], file_digest(place) == file_digest(place)
        ('6ec9c2b0', True)
    """
    try:
        return digests.file_digest(file)
    except FileNotFoundError:
        raise DataError(f"{file}: no such file") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None


def digest_of_files(files: Sequence[Path], root: Path) -> str:
    """Return a hash of the names (below ``root``) and contents of files, whatever their order."""
    with ThreadPoolExecutor(THREADS) as pool:
        contents = list(pool.map(file_digest, files))
    hashed = hashlib.sha256()
    for name, content in sorted(
        (file.relative_to(root).as_posix(), content) for file, content in zip(files, contents, strict=True)
    ):
        hashed.update(f"{name}\0{content}\n".encode())
    return hashed.hexdigest()
