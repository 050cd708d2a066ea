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
from paribus.experiments.any._session import At, Rows, as_factor, at_checkpoints, bind, look_up, needs_fit, rows_of
from paribus.experiments.any._vector import RowDesign, refuse_illegal, vector_of, without_nulls
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
    rows = rows_of(experiment, setup, fitted=needs_fit(experiment))
    refuse_illegal(_compared(experiment, setup), setup, rows)


def run(experiment: Sweep, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Sweep at every checkpoint; hand over ``effects``, for doses ``slope``, their figure and curve.

    Raises:
        ConfigError: If something that is named does not exist.
        DataError: If no contexts are left to fit on or to report.
    """
    rows = rows_of(experiment, setup, fitted=needs_fit(experiment))
    parts: list[Part] = []
    slopes: list[Part] = []
    nulls: list[pd.DataFrame] = []
    kind, name, found = "", "", None
    for at in at_checkpoints(experiment, setup, recorder):
        factor, found = _measured(experiment, setup, at, rows, recorder)
        kind, name = at.kind, factor.name
        doses = factor.doses or (np.nan,) * factor.n_levels
        labels = [{"level": label, "dose": dose} for label, dose in zip(factor.labels, doses, strict=True)]
        parts.append(Part(at.epoch, labels[1:], found.sums, found.means[1:], found.null, found.null_name))
        nulls.extend(_nulls(at.epoch, factor, found))
        if found.slope is not None:
            slopes.append(Part(at.epoch, [{"level": "slope"}], found.slope))
    assert found is not None
    to = Reported(setup, recorder, kind, rows)
    frame = effects(to, parts, what=f"One row per checkpoint and level of {name}.")
    if nulls:
        beside = f"Each level of {name} among several nulls: they answer different questions and may disagree."
        recorder.table(Table("nulls", beside, Evidence.INTERVENTIONAL, pd.concat(nulls, ignore_index=True), NULLS))
    if slopes:
        effects(
            Reported(setup, recorder, kind, rows, SLOPE),
            slopes,
            name="slope",
            what=f"The least-squares slope over the doses of {name} in each context, one row per checkpoint.",
        )
        last = frame[frame["epoch"] == frame["epoch"].max()].sort_values("dose")
        recorder.curve(Curve.of("effect", last, "dose", "mean_delta"))
    recorder.figure(_figure(name, kind, frame, by_dose=bool(slopes)))
    return summed_up(to, frame, factor=name, baseline_mean=float(found.means[0]), **_trend(found, frame))


def effect_vector(experiment: Sweep, setup: NetworkSetup, recorder: Recorder) -> EffectVector:
    """Return the effect of every level but the baseline."""
    rows = rows_of(experiment, setup, fitted=needs_fit(experiment))
    setup = without_nulls(setup)
    (at,) = at_checkpoints(experiment, setup, recorder)
    factor, found = _measured(experiment, setup, at, rows, recorder)
    return vector_of(at, rows, factor.labels[1:], found.sums, recorder)


def promised(experiment: Sweep, setup: NetworkSetup) -> Promised:
    """Return what is known of that vector beforehand."""
    rows = rows_of(experiment, setup, fitted=needs_fit(experiment))
    return promise(experiment, setup, rows, _compared(experiment, setup))


def _compared(experiment: Sweep, setup: NetworkSetup) -> RowDesign:
    factor = as_factor(bind("factor", experiment.factor, experiment, setup, setup.executor()), "factor")
    return RowDesign(factor.design(), to_baseline(factor.n_levels))


def _measured(experiment: Sweep, setup: NetworkSetup, at: At, rows: Rows, recorder: Recorder) -> tuple[Factor, Swept]:
    factor = as_factor(bind("factor", experiment.factor, experiment, setup, at.executor), "factor")
    factor = factor.fit(at.executor, rows.fit)
    found = sweep(
        at.executor,
        factor,
        at.readout,
        rows.reported,
        n_null=setup.stats.n_null,
        n_permutations=setup.stats.n_permutations,
        rng=setup.rng("sweep"),
        watch=recorder,
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


def _figure(name: str, kind: str, frame: pd.DataFrame, *, by_dose: bool) -> Figure:
    caption = f"{around(frame)} Hatched: 2.5 to 97.5 % of the null that the table names."
    if by_dose:
        columns = {"x": "dose", "y": "mean_delta", **BANDS, **by_epoch(frame, "group")}
        return Figure.of("dose_response", "effects", name="sweep", **columns).titled(
            f"Effect of {name}",
            caption,
            xlabel=name,
            ylabel=f"change of {kind}",
            hline=0,
            null_label=null_called(frame),
        )
    columns = {"label": "level", "value": "mean_delta", **BANDS, **by_epoch(frame, "group")}
    return Figure.of("forest", "effects", name="sweep", **columns).titled(
        f"Effect of {name}",
        caption,
        xlabel=f"change of {kind}",
        reference=0,
        null_label=null_called(frame),
        max_rows=30,
    )
