"""The work of a sweep."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from paribus.experiments.any._effects import (
    COLUMNS,
    Part,
    Reported,
    around,
    by_epoch,
    effects,
    is_complete,
    null_called,
    summed_up,
)
from paribus.experiments.any._figures import NULL_NAMED, forest
from paribus.experiments.any._session import At, at_checkpoints, factor_of, look_up
from paribus.experiments.any._vector import RowDesign, at_one, refuse_illegal, vector_of
from paribus.experiments.any._vector import promised as promise
from paribus.experiments.any.sweep import Sweep
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import EffectVector, Promised
from paribus.experiments.setup import NetworkSetup
from paribus.measure.factor import Factor
from paribus.methods.contrast import to_baseline
from paribus.methods.sweep import Swept, sweep
from paribus.results.evidence import Evidence
from paribus.results.schema import BANDS, Aggregates, Curve, Figure, Table
from paribus.stats.intervals import COMPLETE as NOT_INFERRED
from paribus.stats.nulls import null_percentile, null_quantiles

NULLS = {
    "level": "the level",
    "null": "what the null is made of",
    "n_draws": "draws of it",
    **{name: COLUMNS[name] for name in ("mean_delta", "null_low", "null_median", "null_high", "null_percentile")},
}
SLOPE = {"level": "the slope, in units of the readout per unit of the dose"}


def validate(experiment: Sweep, setup: NetworkSetup) -> None:
    """Look up everything that is named."""
    look_up(experiment, setup)
    refuse_illegal(experiment, setup, _compared(experiment, setup))


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
        nulls.extend(_nulls(at.epoch, factor, found))
        if found.slope is not None:
            slopes.append(Part(at.epoch, [{"level": "slope"}], found.slope))
    to, name = Reported.of(at, {}), factor.name
    frame = effects(to, parts, what=f"One row per checkpoint and level of {name}.")
    if nulls:
        beside = f"Each level of {name} among several nulls: they answer different questions and may disagree."
        recorder.table(Table("nulls", beside, Evidence.INTERVENTIONAL, pd.concat(nulls, ignore_index=True), NULLS))
    if slopes:
        says = f"The least-squares slope over the doses of {name} in each context, one row per checkpoint."
        effects(Reported.of(at, SLOPE), slopes, name="slope", what=says)
        last = frame[frame["epoch"] == frame["epoch"].max()].sort_values("dose")
        recorder.curve(Curve.of("effect", last, "dose", "mean_delta"))
        recorder.figure(_response(to, frame, name))
    else:
        forest(to, frame, "sweep", f"Effect of {name}")
    return summed_up(to, frame, factor=name, baseline_mean=float(found.means[0]), **_trend(found, frame))


def effect_vector(experiment: Sweep, setup: NetworkSetup, recorder: Recorder) -> EffectVector:
    """Return the effect of every level but the baseline."""
    at = at_one(experiment, setup, recorder)
    factor, found = _measured(experiment, at)
    return vector_of(at, factor.labels[1:], found.sums)


def promised(experiment: Sweep, setup: NetworkSetup) -> Promised:
    """Return what is known of that vector beforehand."""
    return promise(experiment, setup, _compared(experiment, setup))


def _compared(experiment: Sweep, setup: NetworkSetup) -> RowDesign:
    factor = factor_of(experiment, setup, setup.executor())
    return RowDesign(factor.design(), to_baseline(factor.n_levels))


def _measured(experiment: Sweep, at: At) -> tuple[Factor, Swept]:
    factor = factor_of(experiment, at.setup, at.executor).fit(at.executor, at.rows.fit)
    found = sweep(
        at.executor,
        factor,
        at.readout,
        at.rows.reported,
        n_null=at.setup.stats.n_null,
        n_permutations=at.setup.stats.n_permutations,
        rng=at.setup.rng("sweep"),
        watch=at.recorder,
    )
    return factor, found


def _nulls(epoch: int, factor: Factor, found: Swept) -> Iterator[pd.DataFrame]:
    """Yield the place of every level among the draws of each null, where the factor has further ones."""
    if not found.further:
        return
    own = {} if found.null is None else {found.null_name: found.null}
    for kind, draws in {**own, **found.further}.items():
        low, median, high = null_quantiles(draws)
        yield pd.DataFrame(
            {
                "epoch": epoch,
                "level": list(factor.labels[1:]),
                "null": kind,
                "n_draws": np.isfinite(draws).sum(1),
                "mean_delta": found.sums.means,
                "null_low": low,
                "null_median": median,
                "null_high": high,
                "null_percentile": null_percentile(found.sums.means, draws),
            }
        )


def _trend(found: Swept, frame: pd.DataFrame) -> dict[str, float | str]:
    if found.trend is None:
        return {}
    if is_complete(frame):
        return {"trend_rho": found.trend.rho, "trend_p": float("nan"), "trend_p_method": NOT_INFERRED}
    return {"trend_rho": found.trend.rho, "trend_p": found.trend.p, "trend_p_method": found.trend.method}


def _response(to: Reported, frame: pd.DataFrame, name: str) -> Figure:
    columns = {"x": "dose", "y": "mean_delta", **BANDS, **by_epoch(frame, "group")}
    looks = {"xlabel": name, "ylabel": f"change of {to.kind}", "hline": 0, "null_label": null_called(frame)}
    drawn = Figure.of("dose_response", "effects", name="sweep", **columns)
    return drawn.titled(f"Effect of {name}", f"{around(frame)} {NULL_NAMED}", **looks)
