"""The ``arrays`` option of the ``data`` group: images from a NumPy archive."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from paribus.spec import DataSpec, field, path_of
from paribus.subjects.images.files import file_digest
from paribus.subjects.images.fingerprint import of_files
from paribus.subjects.images.splits import HELD_OUT, PROVIDES


@dataclass(frozen=True)
class Arrays(DataSpec, kind="data/arrays"):
    """An ``.npz`` file with ``images, labels`` and, if there are, ``domains, clusters, domain_names, class_names``.

    Images are uint8, or floats in [0, 1], of shape ``[n, H, W]``, ``[n, H, W, C]`` or ``[n, C, H, W]`` with one or
    three channels. Labels and domains are numbers from 0, or names. Without ``clusters`` every image is its own,
    without ``domains`` all are of one.

    Example:
        >>> Arrays(path="images.npz", train_domains=["a", "b"], val_domain="c", ood_domain="d").path
        'images.npz'
    """

    work: ClassVar[str] = "paribus.subjects.images._arrays"
    subject: ClassVar[str] = "images"
    provides: ClassVar[tuple[str, ...]] = PROVIDES

    path: str = field(file=True, help="The .npz file.")
    ood_domain: str | None = field(None, help="Domain that is only reported, by name or number; null for none.")
    train_domains: list[str] = field([], help="Names or numbers of the training domains; empty for all others.")
    val_domain: str | None = field(None, help="Domain for every choice; null holds out clusters of the training ones.")
    classes: list[str] = field([], help="Names of the classes to keep; empty for all.")
    n_train: int | None = field(None, low=2, help="Training images; null for all.")
    n_eval: int | None = field(None, low=2, help="Most images of each other split; null for all.")
    id_val_share: float = field(0.2, above=0.0, below=1.0, help="Share of the training clusters held out for id_val.")
    balance: bool = field(True, help="Whether draws are balanced over domain x class.")
    split_array: str | None = field(
        None, unstated=None, help="Array with the split of each image by name: train, id_val, val or ood."
    )
    held_out: list[str] = field(
        list(HELD_OUT),
        choices=HELD_OUT,
        unstated=list(HELD_OUT),
        help="Splits that are held out of the training images where no array or domain gives them.",
    )
    seed: int = field(0, help="Draws held-out clusters and rows.")

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
