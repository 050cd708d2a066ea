"""A placebo for a sweep: the other families at the same rungs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paribus.experiments.builds._effects import row_means
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.builds.setup import BuildSetup
from paribus.measure.design import Design
from paribus.results.evidence import Evidence
from paribus.results.schema import Table
from paribus.subjects.builds.states import States, concatenate


def placebo_table(
    setup: BuildSetup, experiment: BuildExperiment, family: str, levels: Sequence[int | None], n_contexts: int
) -> Table | None:
    """Measure the effect of every other family of the same sort at the same levels, on a sample of contexts.

    Args:
        setup: What to measure on.
        experiment: The sweep, whose held tokens apply.
        family: The family it sweeps.
        levels: Its levels, the baseline first.
        n_contexts: Size of the sample; 0 for no placebo.

    Returns:
        One row per family and level: family, rung, mean_delta, n, swept (whether it is the family under study).
    """
    if not n_contexts:
        return None
    own = setup.vocabulary.family(family)
    families = [f for f in setup.vocabulary.families() if f.main_only == own.main_only]
    part = setup.sample(n_contexts, "placebo")

    def edited(states: States) -> States:
        held = experiment.hold(part, states)
        return concatenate([part.edits.sweep(held, other, levels) for other in families])

    f, _ = part.measure_design(Design(edited, len(families) * len(levels))).values
    f = f.reshape(len(families), len(levels), -1)
    delta = row_means(f - f[:, :1])
    known = (~np.isnan(f - f[:, :1])).sum(-1)
    frame = pd.DataFrame(
        {
            "family": np.repeat([f.name for f in families], len(levels) - 1),
            "rung": np.tile([level or 0 for level in levels[1:]], len(families)),
            "mean_delta": delta[:, 1:].ravel(),
            "n": known[:, 1:].ravel(),
            "swept": np.repeat([f == own for f in families], len(levels) - 1),
        }
    )
    meanings = {
        "mean_delta": "mean paired difference of f to the baseline",
        "swept": "whether it is the family under study",
    }
    n = len(part.contexts)
    says = f"The same levels for every family of the same sort, on {n} contexts: {own.name} among the others."
    return Table("placebo", says, Evidence.INTERVENTIONAL, frame, meanings)
