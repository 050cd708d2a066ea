"""Images from folders ``<domain>/<class>/<file>``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paribus.errors import DataError, nearest
from paribus.spec import Spec, field
from paribus.subjects.images.assemble import Catalogue, Draws, assemble, choose
from paribus.subjects.images.data import ImageData, IntArray
from paribus.subjects.images.files import SUFFIXES, digest_of_files, read_images
from paribus.subjects.images.fingerprint import of_files
from paribus.subjects.selection import resolve_roles

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ImageFolder(Spec, kind="data/image_folder"):
    """A folder with one folder per domain, in each of them one per class; every image is a cluster of its own."""

    path: str = field(file=True, help="The folder that holds the domains' folders.")
    ood_domain: str = field(help="Domain that is only reported.")
    train_domains: list[str] = field([], help="Names of the training domains; empty for all others.")
    val_domain: str | None = field(None, help="Domain for every choice; null holds out images of the training ones.")
    classes: list[str] = field([], help="Names of the classes to keep; empty for all.")
    image_size: int = field(64, low=8, high=512, help="Height and width that images are resized to.")
    grayscale: bool = field(False, help="One channel instead of three.")
    n_train: int | None = field(None, low=2, help="Training images; null for all.")
    n_eval: int | None = field(None, low=2, help="Most images of each other split; null for all.")
    id_val_share: float = field(0.2, above=0.0, below=1.0, help="Share of the training images held out for id_val.")
    balance: bool = field(True, help="Whether draws are balanced over domain x class.")
    seed: int = field(0, help="Draws held-out images and rows.")

    def content(self) -> str:
        """Return a hash of all files' names and contents and the parameters.

        Raises:
            DataError: If there is no such folder, or it has not the layout.
        """
        return of_files(self, digest_of_files(list(self.input_files().values()), Path(self.path)))

    def input_files(self) -> Mapping[str, Path]:
        """Return the images by their places below the folder: those of the chosen classes.

        Raises:
            DataError: If there is no such folder, or it has not the layout.
        """
        files, *_ = self._listed()
        return {file.relative_to(self.path).as_posix(): file for file in files}

    def load(self) -> ImageData:
        """Read the images.

        Raises:
            DataError: If folder, domain or class is missing or empty, or an image is damaged.
        """
        where = f"image_folder {self.path}"
        files, labels, domains, domain_names, class_names = self._listed()
        catalogue = Catalogue(labels, domains, np.arange(len(files)), domain_names, class_names)
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
            chosen = [files[row] for row in rows]
            channels = 1 if self.grayscale else 3
            return read_images(chosen, size=self.image_size, channels=channels, description="images")

        chosen = choose(catalogue, roles, draws, where)
        space = f"image_folder {digest_of_files(files, Path(self.path))} {list(class_names)}"
        return assemble(catalogue, roles, chosen, read, fingerprint=self.content(), cluster_space=space)

    def _listed(self) -> tuple[list[Path], IntArray, IntArray, tuple[str, ...], tuple[str, ...]]:
        """Return files, labels, domains, and both kinds of names, in the order of the names."""
        root, where = Path(self.path), f"image_folder {self.path}"
        if not root.is_dir():
            raise DataError(f"{where}: no such folder")
        domain_folders = _folders(root)
        if not domain_folders:
            raise DataError(f"{where}: has no folders; the layout is <domain>/<class>/<image>")
        found = sorted({folder.name for domain in domain_folders for folder in _folders(domain)})
        for name in self.classes:
            if name not in found:
                raise DataError(f"{where}: classes: no such class {name!r}; {nearest(name, found)}")
        classes = list(self.classes) or found
        files: list[Path] = []
        labels: list[int] = []
        domains: list[int] = []
        for number, domain in enumerate(domain_folders):
            for label, name in enumerate(classes):
                images = sorted(file for file in (domain / name).glob("*") if file.suffix.lower() in SUFFIXES)
                files += images
                labels += [label] * len(images)
                domains += [number] * len(images)
        if not files:
            raise DataError(f"{where}: has no images; the layout is <domain>/<class>/<image>")
        names = tuple(folder.name for folder in domain_folders)
        return files, np.array(labels, dtype=np.int64), np.array(domains, dtype=np.int64), names, tuple(classes)


def _folders(root: Path) -> list[Path]:
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
