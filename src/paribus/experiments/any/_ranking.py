"""Which units come first, found on contexts that are not reported."""

from __future__ import annotations

import numpy as np

from paribus.arrays import Ints
from paribus.experiments.any._session import At
from paribus.measure.factor import Units
from paribus.methods.ablate import ablate, singles

MOST_RANKED_ON = 500
"""Contexts that a ranking is made on."""


def ranked(at: At, units: Units) -> Ints:
    """Return the units ``[k]`` by the size of what each does alone in contexts fitted on, the strongest first."""
    some = at.rows.fit
    if len(some) > MOST_RANKED_ON:
        some = np.sort(at.setup.rng("ranking_contexts").choice(some, MOST_RANKED_ON, replace=False))
    off = singles(len(units.names))
    found = ablate(at.executor, units, off, at.readout, some, n_null=0, rng=at.setup.rng("ranking"))
    size = np.nan_to_num(np.abs(found.sums.means), nan=-1.0)
    return np.asarray(np.argsort(-size, kind="stable"))
