"""Which units come first, found on contexts that are not reported."""

from __future__ import annotations

import numpy as np

from paribus.arrays import Ints
from paribus.experiments.any._session import At
from paribus.measure.factor import Units
from paribus.methods.ablate import ablate, singles
from paribus.methods.contrast import Reading
from paribus.stats.clusters import ClusterSums

MOST_RANKED_ON = 500
"""Contexts that a ranking is made on."""
LEAST_MEAN = 1e-5
"""The largest mean effect, over the largest sd of the effects, below which all means are rounding."""


def ranked(at: At, units: Units) -> Ints:
    """Return the units ``[k]`` by the size of what each does alone in contexts fitted on, the strongest first."""
    some = at.rows.fit
    if len(some) > MOST_RANKED_ON:
        some = np.sort(at.setup.rng("ranking_contexts").choice(some, MOST_RANKED_ON, replace=False))
    to = Reading(at.executor, at.readout, some)
    sums = ablate(to, units, singles(len(units.names)), n_null=0, rng=at.setup.rng("ranking")).sums
    if np.nan_to_num(sums.sd).max() > 0 and np.nan_to_num(np.abs(sums.means)).max() <= LEAST_MEAN * np.nanmax(sums.sd):
        at.recorder.warn(
            f"Single {units.name} move {at.kind} in single contexts, and its mean in those that are fitted on by "
            "nothing: what is read is linear in them, and they are set to their mean. Their order and which of them "
            "are the strongest are chance, and effects are the difference between the contexts fitted on and those "
            "reported. Ask with ablation=zero, or read loss, correct, label_margin or kl."
        )
    return by_size(sums)


def by_size(sums: ClusterSums) -> Ints:
    """Return the rows ``[k]`` by the size of their mean effect, the largest first; those without one last."""
    return np.asarray(np.argsort(-np.nan_to_num(np.abs(sums.means), nan=-1.0), kind="stable"))


def ranks(order: Ints) -> Ints:
    """Return the place of each unit in an order, from 1.

    Example:
        >>> ranks(np.array([2, 0, 1])).tolist()
        [2, 3, 1]
    """
    return np.argsort(order) + 1
