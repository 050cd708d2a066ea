"""Images from a NumPy archive."""

from __future__ import annotations

import math
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from paribus.errors import DataError, nearest
from paribus.spec import Spec, field
from paribus.subjects.images.assemble import Catalogue, Draws, assemble, choose
from paribus.subjects.images.data import ImageData, IntArray
from paribus.subjects.images.files import file_digest
from paribus.subjects.images.fingerprint import of_files
from paribus.subjects.selection import resolve_roles

if TYPE_CHECKING:
    import torch

MOST_NAMES = 100_000
REQUIRED = ("images", "labels", "domains")


@dataclass(frozen=True)
class Arrays(Spec, kind="data/arrays"):
    """An ``.npz`` file with ``images, labels, domains`` and, if there are, ``clusters, domain_names, class_names``.

    Images are uint8, or floats in [0, 1], of shape ``[n, H, W]``, ``[n, H, W, C]`` or ``[n, C, H, W]`` with one or
    three channels. Labels and domains are numbers from 0, or names. Without ``clusters`` every image is its own.
    """

    path: str = field(file=True, help="The .npz file.")
    ood_domain: str = field(help="Domain that is only reported, by name or number.")
    train_domains: list[str] = field([], help="Names or numbers of the training domains; empty for all others.")
    val_domain: str | None = field(None, help="Domain for every choice; null holds out clusters of the training ones.")
    classes: list[str] = field([], help="Names of the classes to keep; empty for all.")
    n_train: int | None = field(None, low=2, help="Training images; null for all.")
    n_eval: int | None = field(None, low=2, help="Most images of each other split; null for all.")
    id_val_share: float = field(0.2, above=0.0, below=1.0, help="Share of the training clusters held out for id_val.")
    balance: bool = field(True, help="Whether draws are balanced over domain x class.")
    seed: int = field(0, help="Draws held-out clusters and rows.")

    def content(self) -> str:
        """Return a hash of the file's content and the parameters.

        Raises:
            DataError: If there is no such file.
        """
        return of_files(self, file_digest(Path(self.path)))

    def load(self) -> ImageData:
        """Read the archive.

        Raises:
            DataError: If it is damaged, lacks an array, or holds objects; if a domain or class is missing or empty.
        """
        import torch

        where = f"arrays {self.path}"
        archive = read_archive(Path(self.path))
        pixels = as_bytes(archive["images"], where)
        n = len(pixels)
        labels, class_names = coded(archive["labels"], archive.get("class_names"), n, "labels", where)
        domains, domain_names = coded(archive["domains"], archive.get("domain_names"), n, "domains", where)
        clusters = np.arange(n)
        if "clusters" in archive:
            clusters, _ = coded(archive["clusters"], None, n, "clusters", where)
        if self.classes:
            pixels, labels, domains, clusters, class_names = self._keep_classes(
                pixels, labels, domains, clusters, class_names, where
            )
        catalogue = Catalogue(labels, domains, clusters, domain_names, class_names)
        roles = resolve_roles(
            domain_names,
            train=self.train_domains,
            val=self.val_domain,
            ood=self.ood_domain,
            counts=np.bincount(domains, minlength=len(domain_names)),
            where=where,
        )
        draws = Draws(self.seed, self.n_train, self.n_eval, self.id_val_share, self.balance)

        def read(rows: IntArray) -> torch.Tensor:
            return torch.from_numpy(pixels[rows])

        chosen = choose(catalogue, roles, draws, where)
        space = f"arrays {file_digest(Path(self.path))}"
        return assemble(catalogue, roles, chosen, read, fingerprint=self.content(), cluster_space=space)

    def _keep_classes(
        self,
        pixels: NDArray[np.uint8],
        labels: IntArray,
        domains: IntArray,
        clusters: IntArray,
        names: tuple[str, ...],
        where: str,
    ) -> tuple[NDArray[np.uint8], IntArray, IntArray, IntArray, tuple[str, ...]]:
        for name in self.classes:
            if name not in names:
                raise DataError(f"{where}: classes: no such class {name!r}; {nearest(name, names)}")
        number = np.full(len(names), -1)
        number[[names.index(name) for name in self.classes]] = np.arange(len(self.classes))
        kept = number[labels] >= 0
        return pixels[kept], number[labels[kept]], domains[kept], clusters[kept], tuple(self.classes)


def read_archive(file: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of an archive; Python objects in it are refused, not loaded.

    Raises:
        DataError: If the file is missing, damaged, lacks an array, or holds objects.
    """
    try:
        if _is_single_array(file):
            raise DataError(f"arrays {file}: a single array; an .npz archive with {', '.join(REQUIRED)} is needed")
        if not zipfile.is_zipfile(file):
            raise zipfile.BadZipFile
        _refuse_false_sizes(file)
        with np.load(file, allow_pickle=False) as archive:
            missing = [name for name in REQUIRED if name not in archive]
            if missing:
                raise DataError(f"arrays {file}: lacks {', '.join(missing)}; it has {', '.join(archive) or 'nothing'}")
            return {name: archive[name] for name in archive}
    except FileNotFoundError:
        raise DataError(f"arrays {file}: no such file") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if "allow_pickle" in str(error):
            raise DataError(f"arrays {file}: refused, it holds Python objects; store plain arrays") from None
        raise DataError(f"arrays {file}: damaged or not an .npz archive") from None


def _is_single_array(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(6) == b"\x93NUMPY"


def _refuse_false_sizes(file: Path) -> None:
    """Refuse an archive before memory is taken for it: arrays that are not there, or more than this machine holds.

    Raises:
        DataError: If a header claims another size than its entry has, or all entries do not fit in memory.
    """
    total = 0
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            total += entry.file_size
            with archive.open(entry) as stream:
                version = np.lib.format.read_magic(stream)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(stream)
                held = entry.file_size - stream.tell()
            if not dtype.hasobject and math.prod(shape) * dtype.itemsize != held:
                name = entry.filename.removesuffix(".npy")
                raise DataError(f"arrays {file}: {name} says {shape} of {dtype}, but holds {held} bytes")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else math.inf
    if total > memory:
        raise DataError(f"arrays {file}: holds {total / 1e9:.0f} GB, more than the memory of this machine")


def as_bytes(images: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Return images as uint8 ``[n, C, H, W]``.

    Raises:
        DataError: If shape or values are not those of images.
    """
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    elif images.ndim != 4 or images.shape[1] not in (1, 3):
        raise DataError(
            f"{where}: images must be [n, H, W], [n, H, W, 1 or 3] or [n, 1 or 3, H, W], not {images.shape}"
        )
    if images.shape[2] != images.shape[3]:
        raise DataError(f"{where}: images must be square, got {images.shape[2]} x {images.shape[3]} pixels")
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    if not np.issubdtype(images.dtype, np.floating) or not np.isfinite(images).all():
        raise DataError(f"{where}: images must be uint8 or finite floats in [0, 1], got {images.dtype}")
    if images.size and (images.min() < 0 or images.max() > 1):
        raise DataError(f"{where}: float images must lie in [0, 1], got {images.min():g} to {images.max():g}")
    return np.ascontiguousarray(np.rint(images * 255).astype(np.uint8))


def coded(
    values: NDArray[Any], names: NDArray[Any] | None, n: int, what: str, where: str
) -> tuple[IntArray, tuple[str, ...]]:
    """Return numbers from 0 and their names, from numbers (with or without names) or from names.

    Raises:
        DataError: If there is not one per image, or a number has no name.
    """
    if values.shape != (n,):
        raise DataError(f"{where}: {what} must be one per image ({n}), got shape {values.shape}")
    if values.dtype.kind in "US":
        found, numbers = np.unique(values, return_inverse=True)
        return numbers.astype(np.int64), tuple(str(name) for name in found)
    if values.dtype.kind not in "iub":
        raise DataError(f"{where}: {what} must be whole numbers or names, got {values.dtype}")
    numbers = values.astype(np.int64)
    if n and numbers.min() < 0:
        raise DataError(f"{where}: {what} must count from 0, got {numbers.min()}")
    count = int(numbers.max()) + 1 if n else 0
    if count > MOST_NAMES:
        raise DataError(f"{where}: {what} go up to {count - 1}, more than can be told apart ({MOST_NAMES})")
    if names is None:
        return numbers, tuple(str(k) for k in range(count))
    if count > len(names):
        raise DataError(f"{where}: {what} go up to {count - 1}, but there are {len(names)} names")
    return numbers, tuple(str(name) for name in names)
