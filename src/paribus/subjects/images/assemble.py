"""From labels, domains and clusters on disk to image data with splits by role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from paribus import seeds
from paribus.arrays import Bools, Ints
from paribus.errors import DataError
from paribus.subjects.images.data import EightBitImages, ImageData, content_digest
from paribus.subjects.images.image_files import ImageFiles
from paribus.subjects.images.indexing import channel_statistics, index
from paribus.subjects.images.splits import HELD_OUT
from paribus.subjects.in_splits import SPLITS, check_classes
from paribus.subjects.labelled import not_crossed, not_learned
from paribus.subjects.selection import Roles, draw, hold_out


@dataclass(frozen=True)
class Catalogue:
    """Metadata of all images of a data set, before any is read.

    Attributes:
        labels: Class of each image [n].
        domains: Domain of each image [n].
        clusters: Cluster of each image [n].
        domain_names: Names of the domains.
        class_names: Names of the classes.
        in_id_val: Images that the data set itself holds out for id_val [n], or None.
        splits: Rows by split, where the data set itself cuts them; those it lacks are held out of its training rows.
    """

    labels: Ints
    domains: Ints
    clusters: Ints
    domain_names: tuple[str, ...]
    class_names: tuple[str, ...]
    in_id_val: Bools | None = None
    splits: Mapping[str, Ints] | None = None


@dataclass(frozen=True)
class Draws:
    """How many images each split gets.

    Attributes:
        seed: Draws held-out clusters and rows.
        n_train: Training images, None for all.
        n_eval: Images of each other split, None for all.
        id_val_share: Share of the training domains' clusters that is held out.
        balance: Whether draws are balanced over domain x class.
        held_out: Which of ``id_val`` and ``val`` are held out of the training rows, where nothing else gives them.
    """

    seed: int
    n_train: int | None
    n_eval: int | None
    id_val_share: float
    balance: bool
    held_out: Sequence[str] = HELD_OUT


@dataclass(frozen=True)
class Cut:
    """How a data set is split.

    Attributes:
        rows: Rows of the catalogue by split, of the splits there are.
        notes: Notes for every result on it.
    """

    rows: Mapping[str, Ints]
    notes: tuple[str, ...] = ()

    @property
    def kept(self) -> Ints:
        """Rows of the catalogue that are in any split, ascending."""
        return np.unique(np.concatenate(list(self.rows.values())))


def choose(catalogue: Catalogue, roles: Roles, draws: Draws, where: str) -> Cut:
    """Return the rows of each split there is, as row numbers of the catalogue.

    No cluster is both in the training split and in one that is held out, save where the data set itself holds
    images out for id_val: rows of the other domains whose cluster is trained on are left out.

    Raises:
        DataError: If there are not enough images, a split is empty, the training split has a single class, or a
            training domain has nothing to hold out.
    """
    rng = seeds.rng(draws.seed, "images/splits")
    domains, clusters = catalogue.domains, catalogue.clusters
    given = catalogue.splits or {}
    trained = given.get("train", np.flatnonzero(np.isin(domains, roles.train)))

    def held_out(rows: Ints) -> Ints:
        names = catalogue.domain_names
        return hold_out(rows, draws.id_val_share, domains=domains, clusters=clusters, rng=rng, where=where, names=names)

    train, notes = trained, list[str]()
    candidates = {name: rows for name, rows in given.items() if name != "train"}
    if "id_val" not in candidates and (catalogue.in_id_val is not None or "id_val" in draws.held_out):
        marked = catalogue.in_id_val
        candidates["id_val"] = held_out(train) if marked is None else train[marked[train]]
        train = np.setdiff1d(train, candidates["id_val"])
    if "val" not in candidates and roles.val is None and "val" in draws.held_out:
        candidates["val"] = held_out(train)
        train = np.setdiff1d(train, candidates["val"])
    for name, domain in (("val", roles.val), ("ood", roles.ood)):
        if domain is not None and name not in candidates:
            rows = np.flatnonzero(domains == domain)
            candidates[name] = _apart(rows, train, clusters, f"{where}: {name}")
            if left := len(rows) - len(candidates[name]):
                what = f"{left} of {len(rows)} images of the domain {catalogue.domain_names[domain]}"
                notes.append(f"{what} are left out of {name}: their clusters are trained on.")
    for name, rows in given.items():
        shared = int(np.isin(clusters[rows], clusters[train]).sum()) if name != "train" else 0
        if shared:
            notes.append(f"{shared} of {len(rows)} images of {name} share a cluster with training images.")
    candidates["train"] = train
    chosen: dict[str, Ints] = {}
    for name in (split for split in SPLITS if split in candidates):
        rows = candidates[name]
        n = draws.n_train if name == "train" else _at_most(rows, draws.n_eval, catalogue, draws)
        chosen[name] = draw(
            rows,
            n,
            labels=catalogue.labels,
            domains=domains,
            balance=draws.balance,
            rng=rng,
            where=f"{where}: {'n_train' if name == 'train' else f'n_eval of {name}'}",
            names=(catalogue.domain_names, catalogue.class_names),
        )
        if not len(chosen[name]):
            raise DataError(f"{where}: no image is left for the split {name!r}")
    check_classes(where, catalogue.labels[chosen["train"]], catalogue.class_names)
    said = not_learned(catalogue.labels, catalogue.class_names, chosen)
    names = catalogue.domain_names, catalogue.class_names
    return Cut(chosen, (*notes, *said, *not_crossed(catalogue.labels, catalogue.domains, names, chosen["train"])))


def _apart(rows: Ints, train: Ints, clusters: Ints, where: str) -> Ints:
    """Return those of ``rows`` whose cluster is not trained on.

    Raises:
        DataError: If there are none.
    """
    apart = rows[~np.isin(clusters[rows], clusters[train])]
    if len(rows) and not len(apart):
        raise DataError(f"{where}: every cluster of its domain is trained on, so nothing can be measured there")
    return apart


def _at_most(rows: Ints, n: int | None, catalogue: Catalogue, draws: Draws) -> int | None:
    """Return how many can be drawn for evaluation: ``n``, or as many as there are if these are fewer."""
    if n is None or not len(rows):
        return n
    if not draws.balance:
        return min(n, len(rows))
    cells = np.stack([catalogue.domains[rows], catalogue.labels[rows]])
    groups = [len(np.unique(side)) for side in cells]
    counts = np.unique(cells, axis=1, return_counts=True)[1]
    n_cells = groups[0] * groups[1]
    return min(n, int(counts.min()) * n_cells) if len(counts) == n_cells else min(n, len(rows))


def assemble(
    catalogue: Catalogue,
    roles: Roles,
    cut: Cut,
    pixels: torch.Tensor | ImageFiles,
    *,
    fingerprint: str,
    cluster_space: str = "",
    notes: tuple[str, ...] = (),
) -> ImageData:
    """Put the data set together from the chosen images; rows are numbered anew, without those not chosen.

    Args:
        catalogue: What is known of all images.
        roles: The domains by role.
        cut: How it is cut.
        pixels: The images of ``cut.kept``, uint8 ``[m, C, H, W]``, or the files that they are read from by rows.
        fingerprint: Fingerprint of the data set.
        cluster_space: What its cluster ids number, where others number the same (:class:`ImageData`).
        notes: Notes for every result on it.
    """
    kept = cut.kept
    splits = {name: np.searchsorted(kept, rows) for name, rows in cut.rows.items()}
    labels = catalogue.labels[kept]
    train = splits["train"]
    mean, std = index(pixels, train) if isinstance(pixels, ImageFiles) else channel_statistics(pixels, train)
    return ImageData(
        inputs=EightBitImages(pixels, mean, std),
        labels=labels,
        domains=catalogue.domains[kept],
        clusters=catalogue.clusters[kept],
        domain_names=catalogue.domain_names,
        class_names=catalogue.class_names,
        splits=splits,
        digest=content_digest(fingerprint, kept, *(splits[name] for name in SPLITS if name in splits)),
        train_domains=roles.train,
        cluster_space=cluster_space,
        notes=(*notes, *cut.notes),
    )
