"""Camelyon17 tissue patches in the folder layout of WILDS (Koh et al. 2021; Bandi et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from paribus.spec import DataSpec, field
from paribus.subjects.images.splits import PROVIDES


@dataclass(frozen=True)
class Camelyon17(DataSpec, kind="data/camelyon17"):
    """Patches of lymph nodes from five hospitals, label tumour; a cluster is a slide.

    The hospitals have the roles that WILDS gives them: three are trained on, one is for every choice, one is only
    reported. Draws are balanced over hospital x class.

    Example:
        >>> Camelyon17(path="camelyon17", n_train=None).image_size
        96
    """

    work: ClassVar[str] = "paribus.subjects.images._camelyon17"
    subject: ClassVar[str] = "images"
    provides: ClassVar[tuple[str, ...]] = PROVIDES

    path: str = field(file=True, help="The folder with metadata.csv and patches/.")
    n_train: int | None = field(1000, low=2, help="Training patches; null for all.")
    n_eval: int | None = field(2000, low=2, help="Most patches of each other split; null for all.")
    id_val: str = field(
        "slides",
        choices=("slides", "patients", "official"),
        help="In-distribution validation: whole slides held out, all slides of whole patients (who are the clusters "
        "then), or the patches that WILDS marks (of training slides).",
    )
    id_val_share: float = field(0.2, above=0.0, below=1.0, help="Share of each training hospital's slides held out.")
    balance: bool = field(True, help="Whether draws are balanced over hospital x class.")
    image_size: int = field(96, low=8, high=96, help="Height and width; smaller than 96 is resized.")
    memory_mb: int = field(
        1024, low=0, science=False, help="Pixels of more than this stay in their files and are read when needed."
    )
    seed: int = field(0, help="Draws held-out slides and patches.")

    def content(self) -> str:
        """Return a hash of the metadata, of the chosen patches' contents, and of the parameters.

        Raises:
            DataError: If the folder has not the layout, or a chosen patch is missing.
        """
        made: str = self.work_module().content(self)
        return made

    def input_files(self) -> Mapping[str, Path]:
        """Return the metadata and the chosen patches, by their places below the folder.

        Raises:
            DataError: If the folder has not the layout, or a chosen patch is missing.
        """
        found: Mapping[str, Path] = self.work_module().input_files(self)
        return found
