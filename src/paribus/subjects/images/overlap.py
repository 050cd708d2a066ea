"""Whether images that a model was trained on are among those that another data set holds out."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paribus.arrays import Bools, Ints
from paribus.subjects.images.data import EightBitImages, ImageData
from paribus.subjects.labelled import Overlap
from paribus.subjects.overlap import held_out_of
from paribus.subjects.overlap import unlike as classes_unlike

AT_ONCE = 256


def overlap(trained_on: ImageData, measured_on: ImageData) -> Overlap:
    """Return how many images of each held-out split share their content or a cluster with a training image.

    Cluster ids count where both data sets number the same things (``cluster_space``), content always: that of the
    stored bytes where images are kept as bytes, since their normalisation depends on the draw.

    Args:
        trained_on: What the model was trained on; its split ``train`` is meant.
        measured_on: What it is to be measured on.
    """
    rows = trained_on.rows("train")
    comparable = tuple(trained_on.inputs.shape[1:]) == tuple(measured_on.inputs.shape[1:])
    seen = set(contents(trained_on, rows)) if comparable else set()
    one_space = bool(trained_on.cluster_space) and trained_on.cluster_space == measured_on.cluster_space
    trained = np.unique(trained_on.clusters[rows]) if one_space else np.empty(0, np.int64)

    def alike(mine: Ints) -> Bools:
        return np.array([each in seen for each in contents(measured_on, mine)] if seen else [False] * len(mine), bool)

    def shared(mine: Ints) -> Bools:
        return np.isin(measured_on.clusters[mine], trained)

    return held_out_of(trained_on, measured_on, alike=alike, shared=shared, same_clusters=one_space)


def unlike(trained_on: ImageData, measured_on: ImageData) -> list[str]:
    """Return sentences about differences of the two data sets that a network would accept silently."""
    lines = classes_unlike(trained_on, measured_on)
    if trained_on.image_size != measured_on.image_size:
        lines.append(
            f"Its images have {measured_on.image_size} pixels; those that the model was trained on have "
            f"{trained_on.image_size}."
        )
    return lines


def contents(data: ImageData, rows: Ints) -> list[bytes]:
    """Return a digest of the content of each image."""
    stored: Any = data.inputs.pixels if isinstance(data.inputs, EightBitImages) else data.inputs
    found: list[bytes] = []
    for start in range(0, len(rows), AT_ONCE):
        part: NDArray[Any] = stored[rows[start : start + AT_ONCE]].contiguous().numpy()
        found += [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in part]
    return found
