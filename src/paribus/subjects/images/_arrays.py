"""Reads images from a NumPy archive."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from paribus.arrays import Ints
from paribus.errors import DataError, nearest, size_of
from paribus.spec import path_of
from paribus.subjects.images.arrays import Arrays
from paribus.subjects.images.assemble import Catalogue, Draws, assemble, choose
from paribus.subjects.images.clusters import ALONE
from paribus.subjects.images.data import ImageData
from paribus.subjects.images.files import file_digest
from paribus.subjects.in_splits import ALL, SPLITS, splits_by_name
from paribus.subjects.selection import class_numbers, resolve_roles

MOST_NAMES = 100_000
REQUIRED = ("images", "labels")


def load(spec: Arrays) -> ImageData:
    """Read the archive.

    Raises:
        DataError: If it is damaged, lacks an array, or holds objects; if a domain or class is missing or empty.
    """
    where = f"arrays {spec.path}"
    archive = read_archive(path_of(spec.path))
    pixels = as_bytes(archive["images"], where)
    n = len(pixels)
    labels, class_names = coded(archive["labels"], archive.get("class_names"), n, "labels", where)
    domains = np.zeros(n, dtype=np.int64)
    domain_names: tuple[str, ...] = (ALL,)
    if "domains" in archive:
        domains, domain_names = coded(archive["domains"], archive.get("domain_names"), n, "domains", where)
    clusters = np.arange(n)
    if "clusters" in archive:
        clusters, _ = coded(archive["clusters"], None, n, "clusters", where)
    splits = None if spec.split_array is None else named_splits(archive, spec.split_array, n, where)
    if spec.classes:
        numbers = class_numbers(spec.classes, class_names, where)[labels]
        kept, class_names = np.flatnonzero(numbers >= 0), tuple(spec.classes)
        pixels, labels, domains, clusters = pixels[kept], numbers[kept], domains[kept], clusters[kept]
        if splits is not None:
            splits = {name: np.searchsorted(kept, rows[np.isin(rows, kept)]) for name, rows in splits.items()}
    catalogue = Catalogue(labels, domains, clusters, domain_names, class_names, splits=splits)
    roles = resolve_roles(
        domain_names, domains, where, train=spec.train_domains, val=spec.val_domain, ood=spec.ood_domain
    )
    draws = Draws(spec.seed, spec.n_train, spec.n_eval, spec.id_val_share, spec.balance, spec.held_out)
    cut = choose(catalogue, roles, draws, where)
    shown = torch.from_numpy(pixels[cut.kept])
    space = f"arrays {file_digest(path_of(spec.path))}"
    notes = () if "clusters" in archive else (ALONE,)
    return assemble(catalogue, roles, cut, shown, fingerprint=spec.content(), cluster_space=space, notes=notes)


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
        shapes = _true_shapes(file)
        missing = [name for name in REQUIRED if name not in shapes]
        if missing:
            raise DataError(f"arrays {file}: lacks {', '.join(missing)}; it has {', '.join(shapes) or 'nothing'}")
        _refuse_other_shapes(shapes["images"], f"arrays {file}")
        with np.load(file, allow_pickle=False) as archive:
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
    return splits_by_name(np.array(names)[numbers], f"{where}: split_array: {name}")


def _is_single_array(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(6) == b"\x93NUMPY"


def _true_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an archive's arrays by name, without taking memory for them.

    Raises:
        DataError: If a header claims another size than its entry has, or all entries do not fit in memory.
    """
    total = 0
    shapes: dict[str, tuple[int, ...]] = {}
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            total += entry.file_size
            with archive.open(entry) as stream:
                version = np.lib.format.read_magic(stream)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(stream)
                held = entry.file_size - stream.tell()
            name = entry.filename.removesuffix(".npy")
            shapes[name] = shape
            if not dtype.hasobject and math.prod(shape) * dtype.itemsize != held:
                raise DataError(f"arrays {file}: {name} says {shape} of {dtype}, but holds {held} bytes")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else math.inf
    if total > memory:
        raise DataError(f"arrays {file}: holds {size_of(total)}, more than the memory of this machine")
    return shapes


def _refuse_other_shapes(shape: tuple[int, ...], where: str) -> None:
    """Refuse what is no array of images by its shape."""
    if len(shape) == 3 or (len(shape) == 4 and (shape[3] in (1, 3) or shape[1] in (1, 3))):
        return
    raise DataError(f"{where}: images must be [n, H, W], [n, H, W, 1 or 3] or [n, 1 or 3, H, W], not {shape}")


def as_bytes(images: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Return images as uint8 ``[n, C, H, W]``.

    Raises:
        DataError: If shape or values are not those of images.
    """
    _refuse_other_shapes(images.shape, where)
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
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
