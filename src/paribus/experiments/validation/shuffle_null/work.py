"""Draws the target's effects under the null hypothesis, and judges its own against them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from paribus.arrays import Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import Validated
from paribus.experiments.validation._shuffles import STATISTICS, Judged, flipped_means, gathered, judged
from paribus.experiments.validation._validated import Usable, to_shuffle, usable_vector
from paribus.experiments.validation.shuffle_null.spec import ShuffleNull
from paribus.results.schema import Aggregates, Figure, Table
from paribus.stats.multiplicity import adjust
from paribus.stats.nulls import null_percentile, placed
from paribus.stats.permutation import MONTE_CARLO


def run(experiment: ShuffleNull, setup: Validated, recorder: Recorder) -> Aggregates:
    """Draw the null, judge every entry and the whole vector."""
    usable = usable_vector(experiment, setup, recorder)
    labels = usable.labels
    if usable.sums is not None:
        null = flipped_means(usable.sums, experiment.n_shuffles, setup.rng("shuffle_null"))
    else:
        null = gathered(shuffled_vectors(experiment, setup, recorder, usable.kept))
    found = judged(usable.values, null, centred=usable.sums is not None)
    tables(experiment, setup, recorder, usable, found)
    level = 1 - setup.stats.confidence
    place = ("rms", "max_abs").index(experiment.statistic)
    beyond = np.flatnonzero(found.p_adj <= level)
    recorder.metric("shuffle_null_p", found.p_of[experiment.statistic])
    return Aggregates(
        mean_delta=float(found.values.mean()),
        std_delta=float(found.values.std(ddof=1)),
        n_samples=usable.n_contexts,
        n_conditions=len(labels),
        custom={
            "target": experiment.target.type,
            "null": usable.null,
            "statistic": experiment.statistic,
            "observed": found.observed[experiment.statistic],
            "null_percentile": float(null_percentile(found.observed[experiment.statistic], found.drawn[:, place])),
            "p": found.p_of[experiment.statistic],
            "p_method": MONTE_CARLO,
            "passed": bool(found.p_of[experiment.statistic] <= level),
            "n_entries": len(labels),
            "n_left_out": len(usable.vector.values) - len(labels),
            "entries_beyond_null": [labels[i] for i in beyond][:20],
            "n_beyond_null": len(beyond),
            **usable.vector.about,
            "summary": [said(experiment, usable, found, beyond, level)],
        },
    )


def said(experiment: ShuffleNull, usable: Usable, found: Judged, beyond: Ints, level: float) -> str:
    """Return what was found, as a sentence."""
    p, labels = found.p_of[experiment.statistic], usable.labels
    first = sorted(beyond, key=lambda row: found.p_adj[row])[:3]
    named = (
        f": {', '.join(labels[row] for row in first)}{' and others' if len(beyond) > 3 else ''}" if len(beyond) else ""
    )
    told = "larger than by chance" if p <= level else "not told from chance"
    verb = "is" if len(beyond) == 1 else "are"
    return (
        f"Taken together ({experiment.statistic}), the {len(labels)} effects of {experiment.target.type} are {told} "
        f"(p = {p:.3g} against {usable.null}; statistics); one by one {len(beyond)} "
        f"{verb} beyond chance, adjusted{named} (entries)."
    )


def shuffled_vectors(experiment: ShuffleNull, setup: Validated, recorder: Recorder, kept: Ints) -> Iterator[Floats]:
    """Yield the target's vector under each shuffle."""
    _, draws = to_shuffle(setup, recorder, experiment.n_shuffles, "shuffle_null")
    for each in recorder.progress(draws, total=experiment.n_shuffles, description="shuffles"):
        values: Floats = experiment.target.effect_vector(each).values
        yield values[kept]


def tables(experiment: ShuffleNull, setup: Validated, recorder: Recorder, usable: Usable, found: Judged) -> None:
    """Hand the tables and the figure over."""
    how = usable.null
    p = np.array([found.p_of[name] for name in STATISTICS])
    observed = np.array([found.observed[name] for name in STATISTICS])
    summary = pd.DataFrame({"statistic": STATISTICS, "observed": observed, **placed(observed, found.drawn.T)})
    summary["p"], summary["p_method"], summary["p_adj"] = p, MONTE_CARLO, adjust(p, setup.stats.adjust)
    entries = pd.DataFrame({"entry": usable.labels, "effect": found.values, **placed(found.values, found.null.T)})
    entries["p"], entries["p_method"], entries["p_adj"] = found.p, MONTE_CARLO, found.p_adj
    draws = pd.DataFrame(found.drawn, columns=list(STATISTICS))
    draws.insert(0, "draw", np.arange(len(draws)))
    null = {
        "null_low": f"2.5 % quantile with {how}",
        "null_median": f"median with {how}",
        "null_high": f"97.5 % quantile with {how}",
        "null_percentile": f"place among the draws with {how}, 0 to 100; not a p",
    }
    statistics = {
        "observed": "root mean square, or largest size, of the entries, each in units of its own spread",
        "p": "share of draws (the data among them) at least as large",
        "p_adj": "p adjusted over the rows of this table",
    }
    adjusted = {
        "p": "share of draws (the data among them) at least as far out, two-sided",
        "p_adj": "the same against the largest entry of every draw: family-wise over the table",
    }
    says = "One row per statistic of the whole vector."
    recorder.table(Table("statistics", says, experiment.evidence, summary, null | statistics))
    says = "One row per entry of the effect vector."
    recorder.table(Table("entries", says, experiment.evidence, entries, null | adjusted))
    recorder.table(Table("null_draws", f"One row per null draw: {how}.", experiment.evidence, draws))
    drawn = Figure.of("histogram", "null_draws", name="shuffle_null", value=experiment.statistic)
    says = f"The {experiment.statistic} of the effects (each in units of its own spread) with {how}, and as observed."
    looks = {
        "share": True,
        "observed": found.observed[experiment.statistic],
        "p": found.p_of[experiment.statistic],
        "xlabel": f"{experiment.statistic} of the effects",
    }
    recorder.figure(drawn.titled(f"Could {experiment.target.type} find this by chance?", says, **looks))
