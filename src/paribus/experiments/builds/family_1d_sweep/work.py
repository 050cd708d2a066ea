"""Measures the feature at every rung of a family, and tells the shape of its response."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from paribus.experiments.base import Recorder
from paribus.experiments.builds._confounding import observed_by_rung
from paribus.experiments.builds._effects import (
    EFFECT_COLUMNS,
    base_numbers,
    beyond_least,
    effect_rows,
    n_judged,
    row_means,
)
from paribus.experiments.builds.family_1d_sweep.placebo import placebo_table
from paribus.experiments.builds.family_1d_sweep.plan import SweepPlan, Swept, add_up, supported
from paribus.experiments.builds.family_1d_sweep.spec import Family1dSweep
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.effect_vector import LEAST_TESTED, EffectVector
from paribus.experiments.headline import largest as largest_effect
from paribus.measure.design import Design
from paribus.measure.nulls import Contrasts
from paribus.measure.stream import Stream
from paribus.methods.contrast import to_baseline
from paribus.results.evidence import Evidence
from paribus.results.schema import INTERVAL, NULL_BAND, Aggregates, Curve, Figure, Table
from paribus.stats.dose_response import isotonic_fit, logistic_fit
from paribus.stats.effects import effect_table
from paribus.stats.intervals import EXACT_ZERO, REFERENCE
from paribus.subjects.builds.states import States


def prepare(experiment: Family1dSweep, setup: BuildSetup, recorder: Recorder | None) -> tuple[Stream, SweepPlan]:
    """Return what measures all levels, and the contexts that each is compared on.

    Raises:
        ConfigError: If none of the rungs is legal in any context.
    """
    levels = experiment.levels(setup)

    def edited(states: States) -> States:
        return setup.edits.sweep(experiment.hold(setup, states), experiment.family, levels)

    design = Design(edited, len(levels), description=experiment.family)
    feasible = setup.feasible(design, recorder)
    rungs = [level for level in levels if level is not None]
    setup.require(feasible[-len(rungs) :], f"{experiment.family} at any of the rungs {rungs}")
    support, kind = supported(feasible, experiment.support)
    contrasts = Contrasts(to_baseline(len(levels)), support[1:]) if recorder is not None else None
    stream = setup.stream(design, recorder, contrasts=contrasts, ok=feasible)
    return stream, SweepPlan(levels, support, kind, feasible.sum(1))


def n_supported(experiment: Family1dSweep, setup: BuildSetup) -> int:
    """Return how many levels enough contexts allow, without measuring."""
    _, plan = prepare(experiment, setup, None)
    return n_judged(plan.support[1:])


def effect_vector(experiment: Family1dSweep, setup: BuildSetup) -> EffectVector:
    """Return the mean effect of each rung."""
    stream, plan = prepare(experiment, setup, None)
    every = np.arange(len(setup.contexts))
    differences = plan.differences(stream.collected(len(every)).values[0], every)
    return EffectVector(tuple(map(_label, plan.levels[1:])), row_means(differences), differences)


def run(experiment: Family1dSweep, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Sweep, then tell the shape of the curve, the observational counterpart and the placebo."""
    setup.describe(recorder)
    stream, plan = prepare(experiment, setup, recorder)
    swept = add_up(setup, plan, stream)
    frame = rung_deltas(experiment, setup, recorder, swept)
    observed = observed_by_rung(setup, experiment.family, plan.levels)
    frame = frame.merge(observed[["rung", "observational_delta"]], on="rung", how="left")
    frame["confounding_gap"] = frame["observational_delta"] - frame["mean_delta"]
    says = f"One row per level of {experiment.family}: the feature with the family set to it, against the baseline."
    recorder.table(Table("rung_deltas", says, Evidence.INTERVENTIONAL, frame, _COLUMNS))
    says = f"The same corpus grouped by the highest {experiment.family} token each context happens to show."
    recorder.table(Table("observed_by_rung", says, Evidence.OBSERVATIONAL, observed))
    placebo = placebo_table(setup, experiment, experiment.family, plan.levels, experiment.placebo_contexts)
    if placebo is not None:
        recorder.table(placebo)
    shape = curve_shape(setup, swept, frame)
    draw(experiment, setup, recorder, frame, shape)
    effects = frame["mean_delta"].to_numpy()[1:]
    largest = largest_effect(recorder, "max_effect", frame.iloc[1:]) or 0
    return Aggregates(
        mean_delta=float(np.nanmean(effects)),
        std_delta=float(np.nanstd(effects, ddof=1)) if np.isfinite(effects).sum() > 1 else 0.0,
        n_samples=len(setup.contexts),
        n_conditions=len(plan.levels),
        **base_numbers(setup),
        custom={
            "family": experiment.family,
            "max_rung_delta": float(effects[largest]),
            "max_rung": plan.levels[1:][largest],
            "largest_confounding_gap": largest_gap(frame, observed),
            **shape,
        },
    )


def largest_gap(frame: pd.DataFrame, observed: pd.DataFrame) -> float | None:
    """Return the size of the largest confounding gap of the rungs that enough contexts show; None where there is none.

    Of a rung that five builds show the observed difference is mostly chance, and would easily be the largest.
    """
    shown = frame["rung"].map(observed.set_index("rung")["n"]) >= LEAST_TESTED
    gaps = frame.loc[shown & (frame["n"] >= LEAST_TESTED), "confounding_gap"].iloc[1:].abs().dropna()
    return float(gaps.max()) if shown.iloc[0] and len(gaps) else None


def rung_deltas(experiment: Family1dSweep, setup: BuildSetup, recorder: Recorder, swept: Swept) -> pd.DataFrame:
    """Return the main table: the baseline first, then one tested row per rung."""
    plan = swept.plan
    labels = [_label(level) for level in plan.levels]
    table = effect_rows(
        setup,
        recorder,
        swept.delta,
        "rung_deltas",
        differences_z=swept.delta_z,
        null=swept.null,
        labels=labels[1:],
    )
    first: dict[str, Any] = dict.fromkeys(table.columns, np.nan)
    zero = ("mean_delta", "ci_low", "ci_high", "ci_adj_low", "ci_adj_high", "mean_delta_z")
    first |= dict.fromkeys(zero, 0.0)
    first |= {"skewed": False, "ci_method": EXACT_ZERO, "p_method": REFERENCE, "n": int(plan.support[0].sum())}
    first["n_clusters"] = len(np.unique(setup.cluster[plan.support[0]]))
    frame = pd.concat([pd.DataFrame([first]), table], ignore_index=True)
    frame.insert(0, "rung", plan.doses)
    frame.insert(1, "label", labels)
    frame.insert(2, "support", plan.kind)
    frame.insert(3, "mean_activation", swept.mean)
    frame.insert(4, "firing_rate", swept.firing_rate)
    frame["untested"] = plan.untested(LEAST_TESTED)
    told = [f"{label}: {why}" for label, why in zip(labels, frame["untested"], strict=True) if why]
    if told:
        recorder.warn(f"not tested in {experiment.family}: {'; '.join(told)}")
    return frame


def curve_shape(setup: BuildSetup, swept: Swept, frame: pd.DataFrame) -> dict[str, Any]:
    """Return threshold rung, trend, monotone and logistic fit, from the rungs measured on the common contexts."""
    doses = frame["rung"].to_numpy(dtype=float)
    means, n = frame["mean_activation"].to_numpy(), frame["n"].to_numpy(dtype=float)
    use = swept.plan.ordered()
    beyond = np.flatnonzero(beyond_least(setup, frame))
    found = swept.ranks.trend(rng=setup.rng("trend"), n_permutations=setup.stats.n_permutations)
    fit = logistic_fit(doses[use], means[use], n[use])
    return {
        "threshold_rung": None if not len(beyond) else int(doses[beyond[0]]),
        "trend_rho": found.rho,
        "trend_p": found.p,
        "trend_method": found.method,
        "isotonic_r2": isotonic_fit(doses[use], means[use], n[use]).r2,
        "logistic_fit": None if fit is None else dataclasses.asdict(fit),
        **slope(setup, swept),
        "sd": setup.sd,
    }


def slope(setup: BuildSetup, swept: Swept) -> dict[str, Any]:
    """Return the mean slope per AP with its interval, over the rungs that form one curve.

    Each context has a least-squares slope of its own; the interval is that of their mean by source build. It tells
    a dose-response in one number also where no S-shaped curve fits.
    """
    ends = ("", "_low", "_high", "_method", "_p", "_p_method")
    names = [f"slope_per_ap{end}" for end in ends]
    if swept.slope is None or swept.slope.n[0] < LEAST_TESTED:
        return {**dict.fromkeys(names), "slope_up_to": None}
    row = effect_table(swept.slope, setup.cluster, spec=setup.stats, rng=setup.rng("slope")).iloc[0]
    values = [row[name] for name in ("mean_delta", "ci_low", "ci_high", "ci_method", "p", "p_method")]
    return {
        **{name: each if isinstance(each, str) else float(each) for name, each in zip(names, values, strict=True)},
        "slope_up_to": int(swept.plan.doses[swept.plan.ordered()].max()),
    }


def draw(
    experiment: Family1dSweep, setup: BuildSetup, recorder: Recorder, frame: pd.DataFrame, shape: dict[str, Any]
) -> None:
    """Declare the dose-response figure and the curve."""
    known = frame.dropna(subset="mean_activation").rename(columns={"rung": "ap"})
    name = setup.vocabulary.family(experiment.family).name
    recorder.curve(Curve.of(f"activation_{name}", known, "ap", "mean_activation"))
    nulls = {"null": "null_median", **NULL_BAND} if frame["null_low"].notna().any() else {}
    threshold = {} if shape["threshold_rung"] is None else {"threshold": shape["threshold_rung"]}
    roles = {"x": "rung", "y": "mean_delta", "firing": "firing_rate", "n": "n", "support": "support"}
    drawn = Figure.of("dose_response", "rung_deltas", name="dose_response", **roles, **INTERVAL, **nulls)
    says = (
        "Mean change of the activation against the baseline in the same contexts, with its interval; hatched: the "
        "same change of like features of this model, rescaled to this feature's sd."
    )
    looks = {"xlabel": f"{experiment.family} (AP)", "ylabel": "change of activation", "null_label": "like features"}
    recorder.figure(drawn.titled(f"Setting {experiment.family} to each rung", says, **looks, **threshold))


def _label(level: int | None) -> str:
    return "absent" if level is None else f"{level} AP"


_COLUMNS = {
    **EFFECT_COLUMNS,
    "rung": "AP the family is set to; 0 is absent",
    "support": "common: measured on one set of contexts; own: on the contexts in which this rung is legal",
    "observational_delta": "difference of means between contexts that show this rung and those without the family",
    "confounding_gap": "observational_delta - mean_delta: what comes with the rung but is not done by it",
    "untested": "why the level has no test and no interval: in how many contexts it is legal; empty where it has them",
}
