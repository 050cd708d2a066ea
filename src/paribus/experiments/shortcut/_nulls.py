"""What random edits of the same size do: the named nulls of the shortcut experiments."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from paribus.arrays import Floats
from paribus.engine.intervention import Intervention
from paribus.experiments.shortcut._edited_site import EditedSite
from paribus.experiments.shortcut._margin import aurocs

KINDS = ("isotropic", "covariance")
NULL_PREFIX = {"isotropic": "null", "covariance": "null_covariance"}
"""How the columns of each kind of random edit begin."""


@dataclass(frozen=True)
class NullDraws:
    """Scores of one view under the draws of one null.

    Attributes:
        accuracy: Accuracy under each draw [n_null].
        margin: Mean margin under each draw [n_null].
        auroc: AUROC of the margin under each draw [n_null], NaN where the view has one class; empty if not asked for.
    """

    accuracy: Floats = field(default_factory=lambda: np.empty(0))
    margin: Floats = field(default_factory=lambda: np.empty(0))
    auroc: Floats = field(default_factory=lambda: np.empty(0))


def score_draws(
    site: EditedSite, splits: tuple[str, ...], draws: list[Intervention], *, with_auroc: bool = True
) -> dict[str, NullDraws]:
    """Evaluate random interventions on ``splits``; returned by split."""
    if not draws:
        return {split: NullDraws() for split in splits}
    found = {}
    for split, (accuracy, margins) in site.scores(splits, draws).items():
        view = site.view(split)
        areas = aurocs(margins, view.logits, view.positive) if with_auroc else np.empty(0)
        found[split] = NullDraws(accuracy, margins.mean(axis=1), areas)
    return found
