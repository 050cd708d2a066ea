"""Compares the target's effects on halves of the source builds, and under a null."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats, Ints
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import EffectVector, Validated
from paribus.experiments.validation._agreement import Agreement, interventional, observational, split_clusters
from paribus.experiments.validation._validated import lean, n_exchangeable, shuffled, usable_vector
from paribus.experiments.validation.split_half.spec import SplitHalf
from paribus.results.schema import Aggregates, Figure, Table
from paribus.stats.nulls import null_percentile
from paribus.stats.permutation import MONTE_CARLO

FEW_BUILDS = 12


def run(experiment: SplitHalf, setup: Validated, recorder: Recorder) -> Aggregates:
    """Compare the halves, then the halves of data in which nothing is left to find."""
    n_clusters = len(np.unique(setup.cluster))
    if n_clusters < FEW_BUILDS:
        raise ConfigError(f"split_half: {n_clusters} source builds are too few to split; at least {FEW_BUILDS}")
    setup.describe(recorder)
    vector, kept = usable_vector(experiment, setup)
    first = split_clusters(setup.cluster, experiment.n_splits, setup.rng("split_half"))
    if vector.differences is not None:
        found = flipped(experiment, setup, vector.differences[kept], first)
    else:
        found = recomputed(experiment, setup, recorder, kept, first)
    tables(experiment, setup, recorder, vector, kept, found)
    level = 1 - setup.stats.confidence
    defined = np.isfinite(found.mean_r)
    if not defined:
        recorder.warn("the effects are all equal, so halves cannot be correlated; nothing is validated")
    recorder.metric("split_half_r", found.mean_r)
    return Aggregates(
        n_samples=len(setup.contexts),
        n_conditions=len(kept),
        custom={
            "target": experiment.target.type,
            "null": null_name(experiment, vector),
            "mean_r": found.mean_r,
            "spearman_brown": found.reliability,
            "tested_r": found.statistic,
            "null_mean_r": float(np.nanmean(found.null)) if np.isfinite(found.null).any() else float("nan"),
            "null_percentile": _percentile(found),
            "p": found.p,
            "p_method": MONTE_CARLO,
            "alternative": "greater",
            "passed": bool(defined and found.p <= level and found.mean_r > 0),
            "n_entries": len(kept),
            "n_left_out": len(vector.values) - len(kept),
        },
    )


def flipped(experiment: SplitHalf, setup: Validated, differences: Floats, first: Bools) -> Agreement:
    """Compare halves of paired differences, tested under random signs of whole source builds."""
    return interventional(differences, setup.cluster, first, experiment.n_shuffles, setup.rng("split_half_null"))


def recomputed(experiment: SplitHalf, setup: Validated, recorder: Recorder, kept: Ints, first: Bools) -> Agreement:
    """Run the target on every half, tested under activations shuffled among source builds."""
    if n_exchangeable(setup) < FEW_BUILDS:
        recorder.warn("hardly any source builds have the same number of contexts, so that shuffling changes little")
    base = lean(setup)
    base.corpus_measured  # noqa: B018 - measured once, before the copies are made
    draws = shuffled(base, experiment.n_shuffles, "split_half_null")
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


def null_name(experiment: SplitHalf, vector: EffectVector) -> str:
    """Return what the null is, in words."""
    observed = "activations shuffled among source builds"
    return observed if vector.differences is None else "signs of whole source builds flipped"


def tables(
    experiment: SplitHalf, setup: Validated, recorder: Recorder, vector: EffectVector, kept: Ints, found: Agreement
) -> None:
    """Hand the tables and the figure over."""
    evidence = experiment.evidence
    recorder.table(
        Table(
            "split_correlations",
            "One row per split of the source builds, and one per null draw (a mean over splits).",
            evidence,
            pd.DataFrame(
                {
                    "kind": ["observed"] * len(found.r) + ["null"] * len(found.null),
                    "number": [*range(len(found.r)), *range(len(found.null))],
                    "r": np.concatenate([found.r, found.null]),
                }
            ),
            {"r": "correlation of the two halves' effects; for null draws its mean over the tested splits"},
        )
    )
    recorder.table(
        Table(
            "entries",
            "One row per entry of the effect vector, from all of the data.",
            evidence,
            pd.DataFrame(
                {
                    "entry": vector.labels,
                    "effect": vector.values,
                    "used": np.isin(np.arange(len(vector.values)), kept),
                }
            ),
            {"used": "whether it rests on enough contexts (30) to be correlated"},
        )
    )
    recorder.figure(
        Figure(
            "split_half",
            "histogram",
            ("split_correlations",),
            {"value": "r", "group": "kind"},
            f"Do halves of the data agree on {experiment.target.type}?",
            "Correlation of the effects of two halves for every split; grey: its mean over splits with "
            f"{null_name(experiment, vector)}.",
            {"share": True}
            | {"observed": found.statistic, "p": found.p, "null_group": "null", "xlabel": "correlation of halves"},
        )
    )


def _percentile(found: Agreement) -> float:

    return float(null_percentile(found.statistic, found.null))
