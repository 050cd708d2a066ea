"""Reads Camelyon17 from the folder layout of WILDS."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from paribus.arrays import Ints
from paribus.errors import DataError
from paribus.spec import path_of
from paribus.subjects.images.assemble import Catalogue, Cut, Draws, assemble, choose
from paribus.subjects.images.camelyon17 import Camelyon17
from paribus.subjects.images.data import ImageData
from paribus.subjects.images.files import digest_of_files, file_digest
from paribus.subjects.images.fingerprint import of_files
from paribus.subjects.images.image_files import ImageFiles
from paribus.subjects.images.indexing import index, is_streamed
from paribus.subjects.selection import Roles

OOD_CENTER, VAL_CENTER = 2, 1
"""The test and the validation hospital, in the numbering from 0 that WILDS uses."""
COLUMNS = ("patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split")
METADATA = "metadata.csv"


def content(spec: Camelyon17) -> str:
    """Return a hash of the metadata, of the chosen patches' contents, and of the parameters.

    Raises:
        DataError: If the folder has not the layout, or a chosen patch is missing.
    """
    root = path_of(spec.path)
    files = input_files(spec)
    patches = digest_of_files([file for name, file in files.items() if name != METADATA], root)
    return of_files(spec, file_digest(files[METADATA]) + patches)


def input_files(spec: Camelyon17) -> Mapping[str, Path]:
    """Return the metadata and the chosen patches, by their places below the folder.

    Raises:
        DataError: If the folder has not the layout, or a chosen patch is missing.
    """
    patches, cut, _, _ = _chosen(spec)
    root = path_of(spec.path)
    if _streams(spec, patches):
        index(patches, np.searchsorted(cut.kept, cut.rows["train"]))
    return {METADATA: root / METADATA, **{name: root / name for name in patches.names}}


def load(spec: Camelyon17) -> ImageData:
    """Read the chosen patches.

    Raises:
        DataError: If the folder has not the layout, a hospital has no patches, or a patch is damaged.
    """
    patches, cut, catalogue, roles = _chosen(spec)
    made = content(spec)
    pixels = patches if _streams(spec, patches) else patches.held("patches")
    space = f"{'patients' if spec.id_val == 'patients' else 'slides'} of Camelyon17"
    return assemble(catalogue, roles, cut, pixels, fingerprint=made, cluster_space=space)


def _streams(spec: Camelyon17, patches: ImageFiles) -> bool:
    return is_streamed(len(patches), spec.image_size, 3, spec.memory_mb)


def _chosen(spec: Camelyon17) -> tuple[ImageFiles, Cut, Catalogue, Roles]:
    """Return the chosen patches, and how they were chosen from which."""
    where = f"camelyon17 {spec.path}"
    frame, catalogue, roles = _catalogued(spec, where)
    draws = Draws(spec.seed, spec.n_train, spec.n_eval, spec.id_val_share, spec.balance)
    cut = choose(catalogue, roles, draws, where)
    return ImageFiles(spec.path, patch_names(frame, cut.kept), size=spec.image_size, channels=3), cut, catalogue, roles


def _catalogued(spec: Camelyon17, where: str) -> tuple[pd.DataFrame, Catalogue, Roles]:
    file = path_of(spec.path) / METADATA
    frame = _metadata(path_of(spec.path), file_digest(file) if file.is_file() else "")
    centers = frame["center"].to_numpy(dtype=np.int64)
    present = sorted(set(centers.tolist()))
    if 0 not in present and 5 in present:
        raise DataError(f"{where}: metadata.csv numbers the hospitals from 1; WILDS numbers them from 0")
    names = tuple(f"center_{k}" for k in range(max(*present, OOD_CENTER) + 1))
    for role, center in (("test", OOD_CENTER), ("validation", VAL_CENTER)):
        if center not in present:
            raise DataError(f"{where}: the {role} hospital (center {center}) has no patches")
    trained = tuple(k for k in present if k not in (OOD_CENTER, VAL_CENTER))
    if not trained:
        raise DataError(f"{where}: there are no patches of a training hospital; centers: {present}")
    clusters = frame["slide"].to_numpy(dtype=np.int64)
    if spec.id_val == "patients":
        clusters = frame["patient"].str.lstrip("0").replace("", "0").factorize(sort=True)[0].astype(np.int64)
    catalogue = Catalogue(
        labels=frame["tumor"].to_numpy(dtype=np.int64),
        domains=centers,
        clusters=clusters,
        domain_names=names,
        class_names=("normal", "tumor"),
        in_id_val=frame["split"].to_numpy(dtype=np.int64) == 1 if spec.id_val == "official" else None,
    )
    return frame, catalogue, Roles(train=trained, val=VAL_CENTER, ood=OOD_CENTER)


@lru_cache(maxsize=2)
def _metadata(root: Path, content: str) -> pd.DataFrame:
    """Return ``metadata.csv``, which has half a million rows, read once while its content is the same."""
    return read_metadata(root, f"camelyon17 {root}")


def read_metadata(root: Path, where: str) -> pd.DataFrame:
    """Read ``metadata.csv``.

    Raises:
        DataError: If folder or file is missing, a column is missing, or a value is not of its kind.
    """
    if not root.is_dir():
        raise DataError(f"{where}: no such folder")
    file = root / METADATA
    if not file.is_file():
        raise DataError(f"{where}: has no metadata.csv; a folder in the layout of WILDS is needed")
    try:
        frame = pd.read_csv(file, dtype={"patient": str})
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{where}: metadata.csv cannot be read ({str(error).splitlines()[0]})") from None
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise DataError(f"{where}: metadata.csv lacks the columns {', '.join(missing)}")
    if frame.empty:
        raise DataError(f"{where}: metadata.csv has no rows")
    for name in COLUMNS[1:]:
        if frame[name].dtype.kind not in "iu":
            raise DataError(f"{where}: metadata.csv: column {name} must hold whole numbers in every row")
    if not frame["tumor"].isin([0, 1]).all():
        raise DataError(f"{where}: metadata.csv: tumor must be 0 or 1 in every row")
    return frame


def patch_names(frame: pd.DataFrame, rows: Ints) -> list[str]:
    """Return the files of some rows of the metadata, by their places below the folder."""
    chosen = frame.iloc[rows]
    names = []
    for patient, node, x, y in zip(
        chosen["patient"], chosen["node"], chosen["x_coord"], chosen["y_coord"], strict=True
    ):
        stem = f"patient_{str(patient).zfill(3)}_node_{node}"
        names.append(f"patches/{stem}/patch_{stem}_x_{x}_y_{y}.png")
    return names
