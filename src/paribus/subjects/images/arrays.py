"""The ``arrays`` option of the ``data`` group: images from a NumPy archive."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from paribus.spec import field, path_of
from paribus.subjects.images.files import file_digest
from paribus.subjects.images.fingerprint import of_files
from paribus.subjects.images.splits import ImagesByDomain


@dataclass(frozen=True)
class Arrays(ImagesByDomain, kind="data/arrays"):
    """An ``.npz`` file with ``images, labels`` and, if there are, ``domains, clusters, domain_names, class_names``.

    Images are uint8, or floats in [0, 1], of shape ``[n, H, W]``, ``[n, H, W, C]`` or ``[n, C, H, W]`` with one or
    three channels. Labels and domains are numbers from 0, or names. Without ``clusters`` every image is its own,
    without ``domains`` all are of one.

    Example:
        >>> Arrays(path="images.npz", train_domains=["a", "b"], val_domain="c", ood_domain="d").path
        'images.npz'
    """

    work: ClassVar[str] = "paribus.subjects.images._arrays"

    path: str = field(file=True, help="The .npz file.")
    split_array: str | None = field(
        None, unstated=None, help="Array with the split of each image by name: train, id_val, val or ood."
    )

    def fingerprint(self) -> str:
        """Return what decides the splits besides fields and file: clusters of several domains are held out of all.

        Empty where no cluster occurs in two domains: there it makes no difference.
        """
        file = path_of(self.path)
        if not file.is_file():
            return ""
        return _spanning(file, file_digest(file))

    def content(self) -> str:
        """Return a hash of the file's content and the parameters.

        Raises:
            DataError: If there is no such file.
        """
        return of_files(self, file_digest(path_of(self.path)))


@lru_cache(maxsize=16)
def _spanning(file: Path, content: str) -> str:
    """Return a mark where a cluster of the archive occurs in several domains, else an empty text."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            if "clusters" not in archive or "domains" not in archive:
                return ""
            pairs = [np.unique(archive[name], return_inverse=True)[1].reshape(-1) for name in ("clusters", "domains")]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):
        return ""  # said when it is loaded
    if len(pairs[0]) != len(pairs[1]):
        return ""
    several = len(np.unique(np.stack(pairs), axis=1).T) > len(np.unique(pairs[0]))
    return "clusters of several domains are held out whole" if several else ""
