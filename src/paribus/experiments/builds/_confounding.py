"""The observational counterpart of a sweep: the same corpus, only grouped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paribus.experiments.builds.setup import BuildSetup
from paribus.stats.intervals import NO_VALUES, ONE_GROUP, REFERENCE
from paribus.stats.levels import level_permutation
from paribus.stats.multiplicity import adjust
from paribus.subjects.builds.families import Family


def observed_by_rung(setup: BuildSetup, family: str, levels: Sequence[int | None]) -> pd.DataFrame:
    """Group the contexts by the highest rung of ``family`` that each shows, and compare with those without it.

    Returns:
        One row per level that a sweep uses: rung, n, mean_activation, firing_rate, observational_delta (mean minus the
        mean of the baseline level), p (levels permuted by whole source builds), p_method, p_adj. Levels that no context
        shows have n = 0 and NaN.
    """
    shown = setup.edits.highest_rung(setup.contexts.states(), family)
    f = setup.observed.f
    wanted = [level or 0 for level in levels]
    n = np.array([int((shown == level).sum()) for level in wanted])
    sums = np.array([f[shown == level].sum() for level in wanted])
    firing = np.array([(f[shown == level] > 0).sum() for level in wanted], dtype=float)
    p = np.full(len(wanted), np.nan)
    method = np.where(n > 0, ONE_GROUP, NO_VALUES).astype(object)
    method[0] = REFERENCE
    used = np.isin(shown, wanted)
    if n[0] and (n > 0).sum() > 1:
        test = level_permutation(
            f[used],
            shown[used],
            setup.cluster[used],
            rng=setup.rng(f"observed_{family}"),
            n_permutations=setup.stats.n_permutations,
            baseline=wanted[0],
        )
        at = {int(level): i for i, level in enumerate(test.levels)}
        p = np.array([test.p[at[level]] if level in at else np.nan for level in wanted])
        method = np.array([test.method[at[level]] if level in at else NO_VALUES for level in wanted], dtype=object)
    with np.errstate(invalid="ignore", divide="ignore"):
        means, rates = sums / n, firing / n
    return pd.DataFrame(
        {
            "rung": wanted,
            "n": n,
            "mean_activation": means,
            "firing_rate": rates,
            "observational_delta": means - means[0],
            "p": p,
            "p_method": method,
            "p_adj": adjust(p, setup.stats.adjust),
        }
    )


def observed_presence(setup: BuildSetup, abilities: Sequence[Family]) -> pd.DataFrame:
    """Return what the corpus alone suggests: contexts that hold an ability against those that do not.

    Returns:
        One row per ability: n_observed (contexts that hold it), observational_delta (difference of means),
        p_observational (whole source builds exchanged; NaN where it is always or never held), p_observational_method.
    """
    states, f = setup.contexts.states(), setup.observed.f
    rows = []
    for ability in abilities:
        held = setup.edits.highest_rung(states, ability) > 0
        row = {"ability": ability.name, "n_observed": int(held.sum()), "observational_delta": np.nan}
        row |= {"p_observational": np.nan, "p_observational_method": ONE_GROUP}
        if held.any() and not held.all():
            test = level_permutation(
                f,
                held.astype(int),
                setup.cluster,
                rng=setup.rng(f"observed_{ability.name}"),
                n_permutations=setup.stats.n_permutations,
                baseline=0,
            )
            row |= {"observational_delta": float(test.effects[1]), "p_observational": float(test.p[1])}
            row["p_observational_method"] = str(test.method[1])
        rows.append(row)
    return pd.DataFrame(rows)
