"""Whether rows or clusters that a model was trained on are among those that another file holds out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from paribus.arrays import Bools, Ints
from paribus.subjects.in_splits import SPLITS, InSplits
from paribus.subjects.labelled import Overlap


def overlap(trained_on: InSplits, measured_on: InSplits) -> Overlap:
    """Return how many held-out rows of one file are training rows of another, or of one cluster with such.

    Clusters are the same where they have the same name; rows where the file holds the same values, and does so once in
    each file (two rows of few categories are alike by chance).

    Args:
        trained_on: What the model was trained on; its split ``train`` is meant.
        measured_on: What it is to be measured on.
    """
    named = bool(trained_on.cluster_names) and bool(measured_on.cluster_names)
    trained = {trained_on.cluster_names[k] for k in trained_on.clusters[trained_on.rows("train")]} if named else set()

    def shared(mine: Ints) -> Bools:
        return np.array([named and measured_on.cluster_names[k] in trained for k in measured_on.clusters[mine]], bool)

    alike = partial(_alike, trained_on, measured_on)
    return held_out_of(trained_on, measured_on, alike=alike, shared=shared, same_clusters=named)


def held_out_of(
    trained_on: InSplits,
    measured_on: InSplits,
    *,
    alike: Callable[[Ints], Bools],
    shared: Callable[[Ints], Bools],
    same_clusters: bool,
) -> Overlap:
    """Return how many held-out examples are training examples of another data set, or of one cluster with such.

    Clusters that are in training and a held-out split by design are counted apart.

    Args:
        trained_on: What the model was trained on.
        measured_on: What it is to be measured on.
        alike: Says of examples of the latter which are training examples.
        shared: Says which have a cluster with them.
        same_clusters: Whether clusters of both can be told to be the same.
    """
    same, related = {}, {}
    for split in SPLITS[1:]:
        if split not in measured_on.splits:
            continue
        mine = measured_on.rows(split)
        own, near = alike(mine), shared(mine)
        by_design = same_clusters and split in trained_on.splits and _shares(trained_on, split)
        same[split] = int((own if by_design else own | near).sum())
        related[split] = int((near & ~own).sum()) if by_design else 0
    return Overlap(*({split: n for split, n in counts.items() if n} for counts in (same, related)))


def unlike(trained_on: InSplits, measured_on: InSplits) -> list[str]:
    """Return a sentence about differing class names, which raise no error; none if they are equal."""
    if trained_on.class_names == measured_on.class_names:
        return []
    names = (", ".join(map(str, each.class_names[:6])) for each in (measured_on, trained_on))
    return ["Its classes are ({}); those that the model was trained on are ({}).".format(*names)]


def _shares(data: InSplits, split: str) -> bool:
    return bool(np.isin(data.clusters[data.rows(split)], data.clusters[data.rows("train")]).any())


def _alike(trained_on: InSplits, measured_on: InSplits, mine: Ints) -> Bools:
    if trained_on.contents is None or measured_on.contents is None:
        return np.zeros(len(mine), bool)
    once = [values[counts == 1] for values, counts in (_counted(trained_on), _counted(measured_on))]
    seen = np.intersect1d(trained_on.contents[trained_on.rows("train")], np.intersect1d(*once))
    return np.isin(measured_on.contents[mine], seen)


def _counted(data: InSplits) -> tuple[np.ndarray, np.ndarray]:
    assert data.contents is not None
    return np.unique(data.contents, return_counts=True)
