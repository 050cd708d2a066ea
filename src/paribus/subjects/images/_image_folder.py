"""Reads images from folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paribus.arrays import Ints
from paribus.errors import DataError, nearest
from paribus.spec import path_of
from paribus.subjects.images import clusters
from paribus.subjects.images.assemble import Catalogue, Cut, Draws, assemble, choose
from paribus.subjects.images.data import ImageData
from paribus.subjects.images.decoding import is_deep
from paribus.subjects.images.files import SUFFIXES, digest_of_files, file_digest
from paribus.subjects.images.fingerprint import of_files
from paribus.subjects.images.image_files import ImageFiles
from paribus.subjects.images.image_folder import LAYOUTS, ImageFolder
from paribus.subjects.images.indexing import index, is_streamed
from paribus.subjects.in_splits import ALL
from paribus.subjects.selection import Roles, class_numbers, resolve_roles

SPLIT_FOLDERS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"} | {
    "test": "id_val", "testing": "id_val", "id_val": "id_val",
}  # fmt: skip
"""Which split a folder of the layout ``splits`` is: what is tested on is only reported, so it is id_val."""


@dataclass(frozen=True)
class Listing:
    """The images of a folder, before any is read.

    Attributes:
        names: Their paths below the folder [n].
        labels: Class of each [n].
        groups: Domain, or folder of a split, of each [n].
        group_names: Names of those.
        class_names: Names of the classes.
    """

    names: list[str]
    labels: Ints
    groups: Ints
    group_names: tuple[str, ...]
    class_names: tuple[str, ...]


def content(spec: ImageFolder) -> str:
    """Return a hash of all files' names and contents and the parameters.

    Raises:
        DataError: If there is no such folder, or it has not the layout.
    """
    return of_files(spec, "".join(_digests(spec, _listed(spec))))


def depth(spec: ImageFolder) -> str:
    """Return ``16 bits`` where an image has them, told from the first one of each folder; else nothing.

    Raises:
        DataError: If there is no such folder, or it has not the layout.
    """
    firsts = {name.rpartition("/")[0]: name for name in reversed(_listed(spec).names)}
    root = path_of(spec.path)
    return "16 bits" if any(is_deep(root / name) for name in firsts.values()) else ""


def input_files(spec: ImageFolder) -> Mapping[str, Path]:
    """Return the images by their places below the folder: those of the chosen classes, and the clusters' table.

    Raises:
        DataError: If there is no such folder, or it has not the layout.
    """
    root, listing = path_of(spec.path), _listed(spec)
    if _streams(spec, len(listing.names)):
        cut = _cut(spec, listing)[0]
        index(_files(spec, listing, cut.kept), np.searchsorted(cut.kept, cut.rows["train"]))
    files = {name: root / name for name in listing.names}
    if spec.cluster_file is not None:
        files["cluster_file"] = path_of(spec.cluster_file)
    return files


def load(spec: ImageFolder) -> ImageData:
    """Read the images.

    Raises:
        DataError: If folder, domain or class is missing or empty, or an image is damaged.
    """
    listing = _listed(spec)
    cut, catalogue, roles = _cut(spec, listing)
    images = _files(spec, listing, cut.kept)
    files, table = _digests(spec, listing)
    pixels = images if _streams(spec, len(listing.names)) else images.held("images")
    by = table if spec.cluster_pattern is None else f" {spec.cluster_pattern}"
    return assemble(
        catalogue,
        roles,
        cut,
        pixels,
        fingerprint=of_files(spec, files + table),
        cluster_space=f"image_folder {files} {list(listing.class_names)}{by}",
        notes=() if by else (clusters.ALONE,),
    )


def _streams(spec: ImageFolder, n: int) -> bool:
    return is_streamed(n, spec.image_size, 1 if spec.grayscale else 3, spec.memory_mb)


def _files(spec: ImageFolder, listing: Listing, rows: Ints) -> ImageFiles:
    names = [listing.names[row] for row in rows.tolist()]
    return ImageFiles(spec.path, names, size=spec.image_size, channels=1 if spec.grayscale else 3)


def _cut(spec: ImageFolder, listing: Listing) -> tuple[Cut, Catalogue, Roles]:
    where = f"image_folder {spec.path}"
    catalogue, roles = _catalogued(spec, listing, where)
    draws = Draws(spec.seed, spec.n_train, spec.n_eval, spec.id_val_share, spec.balance, spec.held_out)
    return choose(catalogue, roles, draws, where), catalogue, roles


def _digests(spec: ImageFolder, listing: Listing) -> tuple[str, str]:
    """Return the digest of all images, and after a blank that of the clusters' table, where there is one."""
    root = path_of(spec.path)
    files = digest_of_files([root / name for name in listing.names], root)
    return files, "" if spec.cluster_file is None else f" {file_digest(path_of(spec.cluster_file))}"


def _catalogued(spec: ImageFolder, listing: Listing, where: str) -> tuple[Catalogue, Roles]:
    groups, names = listing.groups, listing.group_names
    together = np.arange(len(listing.names))
    if spec.cluster_pattern is not None:
        together = clusters.by_pattern(listing.names, spec.cluster_pattern, where)
    elif spec.cluster_file is not None:
        together = clusters.by_table(listing.names, path_of(spec.cluster_file), where)
    if spec.layout != "domains":
        one = np.zeros(len(groups), dtype=np.int64)
        splits = _by_split(groups, names, where) if spec.layout == "splits" else None
        catalogue = Catalogue(listing.labels, one, together, (ALL,), listing.class_names, splits=splits)
        return catalogue, Roles(train=(0,), val=None, ood=None)
    roles = resolve_roles(names, groups, where, train=spec.train_domains, val=spec.val_domain, ood=spec.ood_domain)
    return Catalogue(listing.labels, groups, together, names, listing.class_names), roles


def _listed(spec: ImageFolder) -> Listing:
    """Return the images in the order of their names."""
    root, where = path_of(spec.path), f"image_folder {spec.path}"
    if not root.is_dir():
        raise DataError(f"{where}: no such folder")
    groups = [""] if spec.layout == "classes" else _folders(root)
    if not groups or not _folders(root):
        raise DataError(f"{where}: has no folders; the layout is {LAYOUTS[spec.layout]}")
    found = sorted({name for group in groups for name in _folders(root / group)})
    class_numbers(spec.classes, found, where)
    classes = list(spec.classes) or found
    files: list[str] = []
    labels: list[Ints] = []
    numbers: list[Ints] = []
    for number, group in enumerate(groups):
        for label, name in enumerate(classes):
            images = _images(root, f"{group}/{name}" if group else name)
            files += images
            labels.append(np.full(len(images), label, dtype=np.int64))
            numbers.append(np.full(len(images), number, dtype=np.int64))
    if not files:
        raise DataError(f"{where}: has no images; the layout is {LAYOUTS[spec.layout]}")
    return Listing(files, np.concatenate(labels), np.concatenate(numbers), tuple(groups), tuple(classes))


def _by_split(groups: Ints, names: tuple[str, ...], where: str) -> dict[str, Ints]:
    """Return the rows of the split that each folder is.

    Raises:
        DataError: If a folder is none, two are the same one, or there is none to train on.
    """
    rows: dict[str, Ints] = {}
    for number, name in enumerate(names):
        split = SPLIT_FOLDERS.get(name.lower())
        if split is None:
            raise DataError(f"{where}: layout=splits: the folder {name!r} is no split; {nearest(name, SPLIT_FOLDERS)}")
        if split in rows:
            raise DataError(
                f"{where}: layout=splits: two folders are the split {split}; keep one of {', '.join(names)}"
            )
        rows[split] = np.flatnonzero(groups == number)
    if "train" not in rows:
        raise DataError(f"{where}: layout=splits: has no folder train; it has {', '.join(names)}")
    return rows


def _folders(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _images(root: Path, folder: str) -> list[str]:
    """Return the images in a folder, sorted, by their paths below ``root``; none where there is no such folder."""
    place = root / folder
    if not place.is_dir():
        return []
    with os.scandir(place) as entries:
        names = sorted(entry.name for entry in entries if os.path.splitext(entry.name)[1].lower() in SUFFIXES)
    return [f"{folder}/{name}" for name in names]
