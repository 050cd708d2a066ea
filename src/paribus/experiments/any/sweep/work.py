"""The work of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paribus.experiments.any._effect_vector import RowDesign, by_rows
from paribus.experiments.any._effects import Part, Reported, effects, summed_up
from paribus.experiments.any._figures import dose_response, forest
from paribus.experiments.any._session import At, at_checkpoints, factor_of
from paribus.experiments.any._several_nulls import hand_over, nulls_of, trended
from paribus.experiments.any.sweep.spec import Sweep
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.measure.factor import Factor
from paribus.methods.contrast import to_baseline
from paribus.methods.sweep import Swept, slope_weights, sweep
from paribus.results.schema import Aggregates, Curve
from paribus.stats.clusters import ClusterSums

SLOPE = {"level": "the slope, in units of the readout per unit of the dose"}


def run(experiment: Sweep, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Sweep at every checkpoint; hand over ``effects``, for doses ``slope``, their figure and curve.

    Raises:
        ConfigError: If something that is named does not exist.
        DataError: If no contexts are left to fit on or to report.
    """
    parts: list[Part] = []
    slopes: list[Part] = []
    nulls: list[pd.DataFrame] = []
    for at in at_checkpoints(experiment, setup, recorder):
        factor, found = _measured(experiment, at)
        doses = factor.doses or (np.nan,) * factor.n_levels
        labels = [{"level": label, "dose": dose} for label, dose in zip(factor.labels, doses, strict=True)]
        parts.append(Part.of(at, labels[1:], found, found.means[1:]))
        if found.further:
            nulls.extend(nulls_of(at.epoch, factor.labels[1:], found))
        if found.slope is not None:
            slopes.append(Part(at.epoch, [{"level": "slope"}], found.slope))
    to, name = Reported.of(at, {}), factor.name
    frame = effects(to, parts, what=f"One row per checkpoint and level of {name}, against {factor.labels[0]}.")
    hand_over(to, nulls, f"Each level of {name}")
    if slopes:
        says = f"The least-squares slope over the doses of {name} in each context, one row per checkpoint."
        table = effects(Reported.of(at, SLOPE), slopes, name="slope", what=says, divergence=None)
        if not table["n"].any():
            recorder.warn(f"No context is legal at every dose of {name}, so that there is no slope.")
        last = frame[frame["epoch"] == frame["epoch"].max()].sort_values("dose")
        recorder.curve(Curve.of("effect", last, "dose", "mean_delta"))
        dose_response(to, frame, f"Effect of {name}", name="sweep", xlabel=name)
    else:
        forest(to, frame, "sweep", f"Effect of {name}")
    trend = {} if found.trend is None else trended(found.trend, complete=at.rows.complete)
    return summed_up(to, frame, factor=name, baseline=factor.labels[0], baseline_mean=float(found.means[0]), **trend)


def _rows(experiment: Sweep, at: At) -> tuple[Sequence[str], ClusterSums]:
    """Measure the effect of every level but the baseline."""
    factor, found = _measured(experiment, at)
    return factor.labels[1:], found.sums


def _compared(experiment: Sweep, setup: NetworkSetup) -> RowDesign:
    factor = factor_of(experiment, setup, setup.executor())
    slope = slope_weights(factor.doses)
    beside = {} if slope is None else {"slope": slope}
    return RowDesign(factor.design(), to_baseline(factor.n_levels), beside=beside)


def _measured(experiment: Sweep, at: At) -> tuple[Factor, Swept]:
    factor = factor_of(experiment, at.setup, at.executor).fit(at.executor, at.rows.fit)
    return factor, at.ask(sweep, factor, stream="sweep", n_permutations=at.setup.stats.n_permutations)


validate, effect_vector, promised = by_rows(_compared, _rows)
