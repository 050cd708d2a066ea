"""Images from folders ``<domain>/<class>/<file>``, or without domains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.errors import ConfigError, DataError, nearest
from paribus.spec import DataSpec, field
from paribus.subjects.images import clusters
from paribus.subjects.images.assemble import HELD_OUT, Catalogue, Cut, Draws, assemble, choose
from paribus.subjects.images.data import ONE_DOMAIN, PROVIDES, ImageData
from paribus.subjects.images.files import SUFFIXES, digest_of_files, file_digest, read_images
from paribus.subjects.images.fingerprint import of_files
from paribus.subjects.images.image_files import ImageFiles
from paribus.subjects.images.indexing import index, is_streamed
from paribus.subjects.selection import Roles, resolve_roles

if TYPE_CHECKING:
    import torch

LAYOUTS = {
    "domains": "<domain>/<class>/<image>",
    "classes": "<class>/<image>",
    "splits": "<train, val or test>/<class>/<image>",
}
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


@dataclass(frozen=True)
class ImageFolder(DataSpec, kind="data/image_folder"):
    """A folder of images: one folder per domain with one per class in it, or without domains.

    Clusters (images of one patient, say) stay whole in every random split; they are what a pattern matches in the
    path, or come from a table. Without either every image is a cluster of its own.

    Example:
        >>> ImageFolder(path="slides", train_domains=["a", "b"], val_domain="c", ood_domain="d").path
        'slides'
    """

    subject: ClassVar[str] = "images"
    provides: ClassVar[tuple[str, ...]] = PROVIDES

    path: str = field(file=True, help="The folder that holds the folders.")
    ood_domain: str | None = field(None, help="Domain that is only reported; null for none.")
    train_domains: list[str] = field([], help="Names of the training domains; empty for all others.")
    val_domain: str | None = field(None, help="Domain for every choice; null holds out images of the training ones.")
    classes: list[str] = field([], help="Names of the classes to keep; empty for all.")
    image_size: int = field(64, low=8, high=512, help="Height and width that images are resized to.")
    grayscale: bool = field(False, help="One channel instead of three.")
    n_train: int | None = field(None, low=2, help="Training images; null for all.")
    n_eval: int | None = field(None, low=2, help="Most images of each other split; null for all.")
    id_val_share: float = field(0.2, above=0.0, below=1.0, help="Share of the training images held out for id_val.")
    balance: bool = field(True, help="Whether draws are balanced over domain x class.")
    layout: str = field(
        "domains",
        choices=tuple(LAYOUTS),
        unstated="domains",
        help="What the folders are: domains with classes in them, classes, or splits (train, val, test) with classes.",
    )
    cluster_pattern: str | None = field(
        None,
        unstated=None,
        help="Regular expression with one group, searched in each path below the folder: what it matches is the "
        r"cluster, e.g. (patient\d+)_.",
    )
    cluster_file: str | None = field(
        None, file=True, unstated=None, help="CSV with the columns path (below the folder) and cluster."
    )
    held_out: list[str] = field(
        list(HELD_OUT),
        choices=HELD_OUT,
        unstated=list(HELD_OUT),
        help="Splits that are held out of the training images where no folder or domain gives them.",
    )
    memory_mb: int = field(
        1024, low=0, science=False, help="Pixels of more than this stay in their files and are read when needed."
    )
    seed: int = field(0, help="Draws held-out images and rows.")

    def check(self) -> None:
        """Check that domains are only named where there are some, and the pattern.

        Raises:
            ConfigError: If not.
        """
        if self.layout != "domains":
            for name in ("ood_domain", "val_domain", "train_domains"):
                if getattr(self, name):
                    raise ConfigError(f"ImageFolder.{name}: layout={self.layout} has no domains; leave it out")
        if self.cluster_pattern is not None:
            clusters.compiled(self.cluster_pattern, "ImageFolder.cluster_pattern")
            if self.cluster_file is not None:
                raise ConfigError("ImageFolder.cluster_file: give it or cluster_pattern, not both")

    def content(self) -> str:
        """Return a hash of all files' names and contents and the parameters.

        Raises:
            DataError: If there is no such folder, or it has not the layout.
        """
        root, listing = Path(self.path), self._listed()
        files = digest_of_files([root / name for name in listing.names], root)
        table = "" if self.cluster_file is None else f" {file_digest(Path(self.cluster_file).expanduser())}"
        return of_files(self, files + table)

    def input_files(self) -> Mapping[str, Path]:
        """Return the images by their places below the folder: those of the chosen classes, and the clusters' table.

        Raises:
            DataError: If there is no such folder, or it has not the layout.
        """
        root, listing = Path(self.path), self._listed()
        if self._streams(len(listing.names)):
            cut = self._cut(listing)[0]
            index(self._images(listing, cut.kept), np.searchsorted(cut.kept, cut.rows["train"]))
        files = {name: root / name for name in listing.names}
        if self.cluster_file is not None:
            files["cluster_file"] = Path(self.cluster_file).expanduser()
        return files

    def load(self) -> ImageData:
        """Read the images.

        Raises:
            DataError: If folder, domain or class is missing or empty, or an image is damaged.
        """
        listing = self._listed()
        cut, catalogue, roles = self._cut(listing)
        images = self._images(listing, cut.kept)
        streams = self._streams(len(listing.names))

        def read(rows: Ints) -> torch.Tensor | ImageFiles:
            if streams:
                return images
            return read_images(images.files, size=self.image_size, channels=images.channels, description="images")

        def statistics(train: Ints) -> tuple[Floats, Floats]:
            return index(images, train)

        alone = self.cluster_pattern is None and self.cluster_file is None
        return assemble(
            catalogue,
            roles,
            cut,
            read,
            fingerprint=self.content(),
            cluster_space=self._cluster_space(listing),
            notes=(clusters.ALONE,) if alone else (),
            statistics=statistics if streams else None,
        )

    def _streams(self, n: int) -> bool:
        return is_streamed(n, self.image_size, 1 if self.grayscale else 3, self.memory_mb)

    def _images(self, listing: Listing, rows: Ints) -> ImageFiles:
        names = [listing.names[row] for row in rows.tolist()]
        return ImageFiles(self.path, names, size=self.image_size, channels=1 if self.grayscale else 3)

    def _cut(self, listing: Listing) -> tuple[Cut, Catalogue, Roles]:
        where = f"image_folder {self.path}"
        catalogue, roles = self._catalogued(listing, where)
        draws = Draws(self.seed, self.n_train, self.n_eval, self.id_val_share, self.balance, self.held_out)
        return choose(catalogue, roles, draws, where), catalogue, roles

    def _cluster_space(self, listing: Listing) -> str:
        root = Path(self.path)
        files = digest_of_files([root / name for name in listing.names], root)
        space = f"image_folder {files} {list(listing.class_names)}"
        if self.cluster_file is not None:
            return f"{space} {file_digest(Path(self.cluster_file).expanduser())}"
        return space if self.cluster_pattern is None else f"{space} {self.cluster_pattern}"

    def _catalogued(self, listing: Listing, where: str) -> tuple[Catalogue, Roles]:
        groups, names = listing.groups, listing.group_names
        together = np.arange(len(listing.names))
        if self.cluster_pattern is not None:
            together = clusters.by_pattern(listing.names, self.cluster_pattern, where)
        elif self.cluster_file is not None:
            together = clusters.by_table(listing.names, Path(self.cluster_file).expanduser(), where)
        if self.layout != "domains":
            one = np.zeros(len(groups), dtype=np.int64)
            splits = _by_split(groups, names, where) if self.layout == "splits" else None
            catalogue = Catalogue(listing.labels, one, together, (ONE_DOMAIN,), listing.class_names, splits=splits)
            return catalogue, Roles(train=(0,), val=None, ood=None)
        roles = resolve_roles(
            names,
            train=self.train_domains,
            val=self.val_domain,
            ood=self.ood_domain,
            counts=np.bincount(groups, minlength=len(names)),
            where=where,
        )
        return Catalogue(listing.labels, groups, together, names, listing.class_names), roles

    def _listed(self) -> Listing:
        """Return the images in the order of their names."""
        root, where = Path(self.path), f"image_folder {self.path}"
        if not root.is_dir():
            raise DataError(f"{where}: no such folder")
        groups = [""] if self.layout == "classes" else _folders(root)
        if not groups or not _folders(root):
            raise DataError(f"{where}: has no folders; the layout is {LAYOUTS[self.layout]}")
        found = sorted({name for group in groups for name in _folders(root / group)})
        for name in self.classes:
            if name not in found:
                raise DataError(f"{where}: classes: no such class {name!r}; {nearest(name, found)}")
        classes = list(self.classes) or found
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
            raise DataError(f"{where}: has no images; the layout is {LAYOUTS[self.layout]}")
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
