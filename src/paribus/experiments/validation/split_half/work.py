"""Compares the target's effects on halves of the source builds, and under a null."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import Validated
from paribus.experiments.validation._agreement import (
    Agreement,
    halved,
    interventional,
    observational,
    split_clusters,
)
from paribus.experiments.validation._validated import Usable, to_shuffle, usable_vector
from paribus.experiments.validation.split_half.spec import SplitHalf
from paribus.results.schema import Aggregates, Figure, Table
from paribus.stats.nulls import null_percentile
from paribus.stats.permutation import MONTE_CARLO


def run(experiment: SplitHalf, setup: Validated, recorder: Recorder) -> Aggregates:
    """Compare the halves of the data, then halves under the null hypothesis."""
    usable = usable_vector(experiment, setup, recorder)
    rng = setup.rng("split_half")
    if usable.sums is not None:
        first = halved(usable.sums.sums.shape[1], experiment.n_splits, rng)
        found = interventional(usable.sums, first, experiment.n_shuffles, setup.rng("split_half_null"))
    else:
        first = split_clusters(setup.cluster, experiment.n_splits, rng)
        found = recomputed(experiment, setup, recorder, usable.kept, first)
    tables(experiment, recorder, usable, found)
    level = 1 - setup.stats.confidence
    defined = np.isfinite(found.mean_r)
    if not defined:
        recorder.warn("the effects are all equal, so halves cannot be correlated; nothing is validated")
    recorder.metric("split_half_r", found.mean_r)
    return Aggregates(
        n_samples=usable.n_contexts,
        n_conditions=len(usable.kept),
        custom={
            "target": experiment.target.type,
            "null": usable.null,
            "mean_r": found.mean_r,
            "spearman_brown": found.reliability,
            "tested_r": found.statistic,
            "null_mean_r": float(np.nanmean(found.null)) if np.isfinite(found.null).any() else float("nan"),
            "null_percentile": float(null_percentile(found.statistic, found.null)),
            "p": found.p,
            "p_method": MONTE_CARLO,
            "alternative": "greater",
            "passed": bool(defined and found.p <= level and found.mean_r > 0),
            "n_entries": len(usable.kept),
            "n_left_out": len(usable.vector.values) - len(usable.kept),
            **usable.vector.about,
            "summary": [said(experiment, usable, found, level)],
        },
    )


def said(experiment: SplitHalf, usable: Usable, found: Agreement, level: float) -> str:
    """Return what was found, as a sentence."""
    what = f"the {len(usable.kept)} effects of {experiment.target.type}"
    if not np.isfinite(found.mean_r):
        return f"{what[0].upper()}{what[1:]} are all equal, so halves cannot be compared."
    told = found.p <= level and found.mean_r > 0
    return (
        f"Two halves of the {usable.called} correlate by r = {found.mean_r:.2f} in {what}, on average over "
        f"{experiment.n_splits} splits, {'more than by chance' if told else 'not told from chance'} (p = {found.p:.3g} "
        f"against {usable.null}; split_correlations)."
    )


def recomputed(experiment: SplitHalf, setup: Validated, recorder: Recorder, kept: Ints, first: Bools) -> Agreement:
    """Run the target on every half, tested under activations shuffled among source builds."""
    base, draws = to_shuffle(setup, recorder, experiment.n_shuffles, "split_half_null")
    current: dict[int, Validated] = {}

    def vector(shuffle: int | None, rows: Ints) -> Floats:
        source = base
        if shuffle is not None:
            if shuffle not in current:
                current.clear()
                current[shuffle] = next(draws)
            source = current[shuffle]
        values: Floats = experiment.target.effect_vector(source.restrict(rows)).values
        return values[kept]

    return observational(vector, first, experiment.n_shuffles, min(experiment.shuffle_splits, experiment.n_splits))


def tables(experiment: SplitHalf, recorder: Recorder, usable: Usable, found: Agreement) -> None:
    """Hand the tables and the figure over."""
    evidence, vector = experiment.evidence, usable.vector
    kinds = ["observed"] * len(found.r) + ["null"] * len(found.null)
    numbers = [*range(len(found.r)), *range(len(found.null))]
    meanings = {
        "kind": "observed, or a draw of the null",
        "r": "correlation of the two halves' effects; for null draws its mean over the tested splits",
    }
    says = f"One row per split of the {usable.called}, and one per null draw (a mean over splits)."
    frame = pd.DataFrame({"kind": kinds, "number": numbers, "r": np.concatenate([found.r, found.null])})
    recorder.table(Table("split_correlations", says, evidence, frame, meanings))
    used = np.isin(np.arange(len(vector.values)), usable.kept)
    frame = pd.DataFrame({"entry": vector.labels, "effect": vector.values, "used": used})
    meanings = {"used": "whether it rests on enough contexts (30) to be correlated"}
    says = f"One row per entry of the effect vector, from {usable.scope}."
    recorder.table(Table("entries", says, evidence, frame, meanings))
    drawn = Figure.of("histogram", "split_correlations", name="split_half", value="r", group="kind")
    says = (
        f"Correlation of the effects of two halves, for every split; hatched: its mean over splits with {usable.null}."
    )
    looks = {"share": True, "observed": found.statistic, "p": found.p, "null_group": "null"}
    looks["xlabel"] = "correlation of halves"
    recorder.figure(drawn.titled(f"Do halves of the data agree on {experiment.target.type}?", says, **looks))
