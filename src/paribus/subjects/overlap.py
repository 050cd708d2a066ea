"""Whether rows or clusters that a model was trained on are among those that another file holds out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from paribus.arrays import Bools, Ints
from paribus.subjects.labelled import Overlap
from paribus.subjects.roles import SPLITS


class FromFile(Protocol):
    """Rows of a file, with the names by which their clusters are known in another one."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def splits(self) -> Mapping[str, Ints]:
        """Rows of each split."""

    @property
    def clusters(self) -> Ints:
        """Cluster of each row ``[n]``."""

    @property
    def cluster_names(self) -> tuple[str, ...]:
        """Names of the clusters; empty where every row is one by itself."""

    @property
    def contents(self) -> NDArray[np.uint64] | None:
        """Hash of what each row holds ``[n]``; None where that is not known."""

    def rows(self, split: str) -> Ints:
        """Return the rows of a split."""


def overlap(trained_on: FromFile, measured_on: FromFile) -> Overlap:
    """Return how many held-out rows of one file are training rows of another, or of one cluster with such.

    Clusters are the same where they have the same name; rows where the file holds the same values, and does so once in
    each file (two rows of few categories are alike by chance).

    Args:
        trained_on: What the model was trained on; its split ``train`` is meant.
        measured_on: What it is to be measured on.
    """
    rows = trained_on.rows("train")
    named = bool(trained_on.cluster_names) and bool(measured_on.cluster_names)
    trained = {trained_on.cluster_names[k] for k in trained_on.clusters[rows]} if named else set()
    same, related = {}, {}
    for split in SPLITS[1:]:
        if split not in measured_on.splits:
            continue
        mine = measured_on.rows(split)
        alike = _alike(trained_on, measured_on, mine)
        shared = np.array([named and measured_on.cluster_names[k] in trained for k in measured_on.clusters[mine]], bool)
        by_design = named and split in trained_on.splits and _shares(trained_on, split)
        same[split] = int((alike if by_design else alike | shared).sum())
        related[split] = int((shared & ~alike).sum()) if by_design else 0
    return Overlap(*({split: n for split, n in counts.items() if n} for counts in (same, related)))


def unlike(trained_on: FromFile, measured_on: FromFile) -> list[str]:
    """Return sentences about what two files do not have in common and a network need not notice."""
    lines = []
    if trained_on.class_names != measured_on.class_names:
        names = (", ".join(each.class_names[:6]) for each in (measured_on, trained_on))
        lines.append("Its classes are ({}); those that the model was trained on are ({}).".format(*names))
    return lines


def _shares(data: FromFile, split: str) -> bool:
    return bool(np.isin(data.clusters[data.rows(split)], data.clusters[data.rows("train")]).any())


def _alike(trained_on: FromFile, measured_on: FromFile, mine: Ints) -> Bools:
    if trained_on.contents is None or measured_on.contents is None:
        return np.zeros(len(mine), bool)
    once = [values[counts == 1] for values, counts in (_counted(trained_on), _counted(measured_on))]
    seen = np.intersect1d(trained_on.contents[trained_on.rows("train")], np.intersect1d(*once))
    return np.isin(measured_on.contents[mine], seen)


def _counted(data: FromFile) -> tuple[np.ndarray, np.ndarray]:
    assert data.contents is not None
    return np.unique(data.contents, return_counts=True)
