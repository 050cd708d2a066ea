"""Images from a NumPy archive."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from paribus.arrays import Ints
from paribus.errors import DataError, nearest
from paribus.spec import DataSpec, field
from paribus.subjects.images.assemble import HELD_OUT, Catalogue, Draws, assemble, choose
from paribus.subjects.images.clusters import ALONE
from paribus.subjects.images.data import ONE_DOMAIN, PROVIDES, SPLITS, ImageData
from paribus.subjects.images.files import file_digest
from paribus.subjects.images.fingerprint import of_files
from paribus.subjects.selection import resolve_roles

if TYPE_CHECKING:
    import torch

MOST_NAMES = 100_000
REQUIRED = ("images", "labels")


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
        file = Path(self.path)
        if not file.is_file():
            return ""
        return _spanning(file, file_digest(file))

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
        domains = np.zeros(n, dtype=np.int64)
        domain_names: tuple[str, ...] = (ONE_DOMAIN,)
        if "domains" in archive:
            domains, domain_names = coded(archive["domains"], archive.get("domain_names"), n, "domains", where)
        clusters = np.arange(n)
        if "clusters" in archive:
            clusters, _ = coded(archive["clusters"], None, n, "clusters", where)
        splits = None if self.split_array is None else named_splits(archive, self.split_array, n, where)
        if self.classes:
            kept, class_names, labels = self._kept_classes(labels, class_names, where)
            pixels, domains, clusters = pixels[kept], domains[kept], clusters[kept]
            splits = (
                None
                if splits is None
                else {name: np.searchsorted(kept, rows[np.isin(rows, kept)]) for name, rows in splits.items()}
            )
        catalogue = Catalogue(labels, domains, clusters, domain_names, class_names, splits=splits)
        roles = resolve_roles(
            domain_names,
            train=self.train_domains,
            val=self.val_domain,
            ood=self.ood_domain,
            counts=np.bincount(domains, minlength=len(domain_names)),
            where=where,
        )
        draws = Draws(self.seed, self.n_train, self.n_eval, self.id_val_share, self.balance, self.held_out)

        def read(rows: Ints) -> torch.Tensor:
            return torch.from_numpy(pixels[rows])

        cut = choose(catalogue, roles, draws, where)
        space = f"arrays {file_digest(Path(self.path))}"
        notes = () if "clusters" in archive else (ALONE,)
        return assemble(catalogue, roles, cut, read, fingerprint=self.content(), cluster_space=space, notes=notes)

    def _kept_classes(self, labels: Ints, names: tuple[str, ...], where: str) -> tuple[Ints, tuple[str, ...], Ints]:
        """Return the rows of the chosen classes, the names of these, and the rows' labels among them."""
        for name in self.classes:
            if name not in names:
                raise DataError(f"{where}: classes: no such class {name!r}; {nearest(name, names)}")
        number = np.full(len(names), -1)
        number[[names.index(name) for name in self.classes]] = np.arange(len(self.classes))
        kept = np.flatnonzero(number[labels] >= 0)
        return kept, tuple(self.classes), number[labels[kept]]


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


def named_splits(archive: Mapping[str, NDArray[Any]], name: str, n: int, where: str) -> dict[str, Ints]:
    """Return the rows of each split that an array names for every image.

    Raises:
        DataError: If there is no such array, it is not one name per image, or a name is no split.
    """
    if name not in archive:
        raise DataError(f"{where}: split_array: no array {name!r}; {nearest(name, archive)}")
    if archive[name].dtype.kind not in "US":
        raise DataError(
            f"{where}: split_array: {name} must hold names ({', '.join(SPLITS)}), got {archive[name].dtype}"
        )
    numbers, names = coded(archive[name], None, n, name, where)
    for split in names:
        if split not in SPLITS:
            raise DataError(f"{where}: split_array: {split!r} is no split; {nearest(split, SPLITS)}")
    if "train" not in names:
        raise DataError(f"{where}: split_array: no image is of train; there are {', '.join(names)}")
    return {split: np.flatnonzero(numbers == number) for number, split in enumerate(names)}


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
) -> tuple[Ints, tuple[str, ...]]:
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
