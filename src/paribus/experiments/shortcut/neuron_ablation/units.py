"""Which units of a site carry the domain or the label, and random units that are like them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.experiments.shortcut._edited_site import EditedSite
from paribus.experiments.shortcut._probes import FrozenProbes
from paribus.subspace.probes import fit_one_vs_rest


@dataclass(frozen=True)
class UnitScores:
    """What is known of every unit of a site [d each].

    Attributes:
        shortcut: Largest |coefficient| over the domains' one-vs-rest probes, on standardised features.
        label: The same for the classes.
        mean_activation: Mean over training rows.
        readout_norm: How strongly the network reads it: the norm of its centred head weights at a linear head, else the
            size of the margin's mean gradient.
    """

    shortcut: Floats
    label: Floats
    mean_activation: Floats
    readout_norm: Floats

    def order(self, ranking: str, rng: np.random.Generator) -> Ints:
        """Return the units by falling score of ``ranking`` (``shortcut``, ``label``), or in random order."""
        if ranking == "random":
            return np.asarray(rng.permutation(len(self.shortcut)), dtype=np.int64)
        return np.argsort(-(self.shortcut if ranking == "shortcut" else self.label), kind="stable").astype(np.int64)


def score_units(site: EditedSite, frozen: FrozenProbes, rng: np.random.Generator) -> UnitScores:
    """Score every unit on the training features of ``site``, at the penalties of the frozen probes."""
    train = site.view("train")
    scores = [
        np.abs(
            fit_one_vs_rest(train.h, target, clusters=train.clusters, rng=rng, weights=frozen.weights, l2=probe.l2)
        ).max(axis=0)
        for target, probe in ((train.domains, frozen.domain), (train.labels, frozen.label))
    ]
    weight = site.head_weight
    norm = np.abs(site.gradient) if weight is None else np.linalg.norm(weight - weight.mean(axis=0), axis=0)
    return UnitScores(scores[0], scores[1], train.h.mean(axis=0), np.asarray(norm))


def random_sets(d: int, k: int, n: int, rng: np.random.Generator) -> Ints:
    """Draw ``n`` sets of ``k`` out of ``d`` units [n, k], all sets equally likely."""
    return _weighted_sets(np.zeros(d), k, n, rng)


def matched_sets(scores: UnitScores, units: Ints, n: int, rng: np.random.Generator) -> Ints:
    """Draw ``n`` random sets [n, k] of units like ``units`` [k] in mean activation and site norm.

    A unit is drawn in proportion to how densely ``units`` lie about it in the plane of the two (standardised ranks,
    Gaussian kernel of bandwidth .15 of their range), relative to how densely all units do; without replacement.
    """
    d = len(scores.shortcut)
    ranks = [
        np.argsort(np.argsort(each, kind="stable"), kind="stable")
        for each in (scores.mean_activation, scores.readout_norm)
    ]
    plane = np.stack(ranks, axis=1) / max(d - 1, 1)
    near = np.exp(-((plane[:, None, :] - plane[None, :, :]) ** 2).sum(axis=2) / (2 * 0.15**2))
    density = near[:, units].mean(axis=1) / near.mean(axis=1)
    return _weighted_sets(np.log(density + 1e-12), len(units), n, rng)


def _weighted_sets(log_weights: Floats, k: int, n: int, rng: np.random.Generator) -> Ints:
    """Draw sets without replacement by the Gumbel top-k trick (Vieira 2014; Kool et al. 2019, ICML)."""
    keys = log_weights + rng.gumbel(size=(n, len(log_weights)))
    if k >= len(log_weights):
        return np.tile(np.arange(len(log_weights)), (n, 1))
    return np.argpartition(-keys, k - 1, axis=1)[:, :k].astype(np.int64)
