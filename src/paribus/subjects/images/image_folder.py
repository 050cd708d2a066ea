"""The ``image_folder`` option of the ``data`` group: folders ``<domain>/<class>/<file>``, or without domains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from paribus.errors import ConfigError
from paribus.spec import field
from paribus.subjects.images import clusters
from paribus.subjects.images.splits import ImagesByDomain

LAYOUTS = {
    "domains": "<domain>/<class>/<image>",
    "classes": "<class>/<image>",
    "splits": "<train, val or test>/<class>/<image>",
}


@dataclass(frozen=True)
class ImageFolder(ImagesByDomain, kind="data/image_folder"):
    """A folder of images: one folder per domain with one per class in it, or without domains.

    Clusters (images of one patient, say) stay whole in every random split; they are what a pattern matches in the
    path, or come from a table. Without either every image is a cluster of its own.

    Example:
        >>> ImageFolder(path="slides", train_domains=["a", "b"], val_domain="c", ood_domain="d").path
        'slides'
    """

    work: ClassVar[str] = "paribus.subjects.images._image_folder"

    path: str = field(file=True, help="The folder that holds the folders.")
    image_size: int = field(64, low=8, high=512, help="Height and width that images are resized to.")
    grayscale: bool = field(False, help="One channel instead of three.")
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
    memory_mb: int = field(
        1024, low=0, science=False, help="Pixels of more than this stay in their files and are read when needed."
    )

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
        made: str = self.work_module().content(self)
        return made

    def fingerprint(self) -> str:
        """Return that images of 16 bits are read by their upper eight, where there are some: they once were white."""
        said: str = self.work_module().depth(self)
        return said

    def input_files(self) -> Mapping[str, Path]:
        """Return the images by their places below the folder: those of the chosen classes, and the clusters' table.

        Raises:
            DataError: If there is no such folder, or it has not the layout.
        """
        found: Mapping[str, Path] = self.work_module().input_files(self)
        return found
