"""Counts tokens in core and tail contexts, and intervenes on those that stand out."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import EFFECT_COLUMNS, beyond_least, summed
from paribus.experiments.builds._presence import (
    UNITS,
    Unit,
    at_another_rung,
    held_matrix,
    named_units,
    presence_standings,
)
from paribus.experiments.builds._standing import STANDINGS, UNDECIDED, UNMEASURED, with_n
from paribus.experiments.builds.core_coverage_analysis.spec import CoreCoverageAnalysis
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.effect_vector import EffectVector
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.results.words import counted
from paribus.stats.intervals import ONE_GROUP, Methods, too_few
from paribus.stats.multiplicity import together
from paribus.stats.odds import association_table
from paribus.stats.shares import share_gap, shares

LEAST_GROUP = 10


def units_of(experiment: CoreCoverageAnalysis, setup: BuildSetup) -> list[Unit]:
    """Return what is looked at: the named tokens and families, or all of the kind.

    Raises:
        ConfigError: If a name is unknown.
    """
    if experiment.tokens is not None:
        return named_units(setup, experiment.tokens, "experiment.tokens")
    return UNITS[experiment.unit](setup)


def groups_of(experiment: CoreCoverageAnalysis, f: Floats) -> tuple[Bools, Bools, float]:
    """Return core and tail contexts ``[n]`` and the effective maximum (NaN where the feature is never active)."""
    active = f[f > 0]
    if not len(active) or f.max() == f.min():
        return np.zeros(len(f), bool), np.zeros(len(f), bool), float("nan")
    top = float(np.quantile(active, experiment.max_quantile))
    return (f >= experiment.core_low * top) & (f <= experiment.core_high * top), f > experiment.core_high * top, top


def effect_vector(experiment: CoreCoverageAnalysis, setup: BuildSetup) -> EffectVector:
    """Return core share minus base rate of every unit; observational."""
    units = units_of(experiment, setup)
    held = held_matrix(setup, units, setup.contexts.states())
    core, tail, _ = groups_of(experiment, setup.observed.f)
    either = core | tail
    share = held[either].mean(0) if either.any() else np.full(len(units), np.nan)
    return EffectVector(tuple(unit.name for unit in units), np.asarray(share - held.mean(0)))


def run(experiment: CoreCoverageAnalysis, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Count in core and tail; with ``confirm``, set what stands out."""
    setup.describe(recorder)
    units = units_of(experiment, setup)
    core, tail, top = groups_of(experiment, setup.observed.f)
    frame = coverage(experiment, setup, recorder, units, core, tail)
    says = (
        f"One row per {experiment.row_of}: the share of core contexts ({experiment.core_low:g} to "
        f"{experiment.core_high:g} of the effective maximum) and of tail contexts that hold it, "
        "against its base rate."
    )
    recorder.table(Table("core_coverage", says, Evidence.OBSERVATIONAL, frame, _COLUMNS))
    draw(recorder, frame)
    confirmed = confirm(experiment, setup, recorder, units, frame) if experiment.confirm else dict.fromkeys(_CONFIRMED)
    custom: dict[str, Any] = {
        "effective_maximum": top,
        "n_core": int(core.sum()),
        "n_tail": int(tail.sum()),
        "primary_drivers": list(frame.loc[frame["is_primary_driver"], "token"]),
        "tail_markers": list(frame.loc[frame["is_tail_marker"], "token"]),
        **confirmed,
    }
    recorder.metric("n_primary_drivers", len(custom["primary_drivers"]))
    return Aggregates(
        **summed(setup, frame["core_tail_gap"]),
        n_conditions=len(frame),
        custom=custom,
    )


def coverage(
    experiment: CoreCoverageAnalysis, setup: BuildSetup, recorder: Recorder, units: list[Unit], core: Bools, tail: Bools
) -> pd.DataFrame:
    """Return shares, enrichment over base rate and the gap between core and tail, each with its interval."""
    states = setup.contexts.states()
    held = held_matrix(setup, units, states)
    frame = pd.DataFrame({"token": [u.name for u in units], "family": [u.family.name for u in units]})
    frame["base_rate"] = held.mean(0)
    enough = core.sum() >= LEAST_GROUP
    if not enough:
        recorder.warn(
            f"the core holds {counted(int(core.sum()), 'context')}: no interval, no verdict ({LEAST_GROUP} needed)"
        )
    frame["core_share"] = held[core].mean(0) if core.any() else np.nan
    frame["tail_share"] = held[tail].mean(0) if tail.any() else np.nan
    if enough:
        frame = frame.assign(**_share_intervals(held, core, tail, setup))
    else:
        names = ("core", "tail", "gap", "gap_adj")
        frame[[f"{name}_{end}" for end in ("low", "high") for name in names]] = np.nan
        frame[[f"{name}_method" for name in names[:3]]] = too_few(int(core.sum()), "context")
    frame["core_tail_gap"] = frame["core_share"] - frame["tail_share"]
    judged = enough and not core.all()
    odds = association_table(held, core, setup.cluster, spec=setup.stats) if judged else None
    for name in ("lift", "lift_low", "lift_high", "lift_method", "lift_adj_low", "lift_adj_high"):
        unknown = ONE_GROUP if name == "lift_method" else np.nan
        frame[f"core_{name}"] = unknown if odds is None else odds[name]
    both = enough and tail.sum() >= LEAST_GROUP
    if enough and not both:
        recorder.warn(f"the tail holds {counted(int(tail.sum()), 'context')}: no tail markers (at least {LEAST_GROUP})")
    rarer = (frame["gap_adj_high"] < 0) if both else pd.Series(False, frame.index)
    frame["is_tail_marker"] = rarer & (frame["core_share"] < experiment.coverage_threshold)
    frame["is_primary_driver"] = (frame["core_lift_adj_low"] > 1) & ~frame["is_tail_marker"]
    return frame


def confirm(
    experiment: CoreCoverageAnalysis, setup: BuildSetup, recorder: Recorder, units: list[Unit], frame: pd.DataFrame
) -> dict[str, list[str] | None]:
    """Set each driver and marker, and return those established beyond min_effect sd and those left undecided."""
    stands_out = (frame["is_primary_driver"] | frame["is_tail_marker"]).to_numpy()
    chosen = [unit for unit, out in zip(units, stands_out, strict=True) if out]
    if not chosen:
        return {name: [] for name in _CONFIRMED}
    families = experiment.unit == "family" and experiment.tokens is None
    n = experiment.confirm_contexts
    effects, _ = presence_standings(setup, recorder, experiment, chosen, n, "confirm", at_every_rung=families)
    meanings = {
        **EFFECT_COLUMNS,
        "mean_delta": "mean of f with it minus f without it, paired within contexts",
        "standing_at": "AP that standing speaks of: the family's own rung, or one at which more is found",
        "standing": f"what may be said of the effect: {STANDINGS}",
    }
    says = f"One row per {experiment.row_of} that stands out: each context with it minus the same context without it."
    recorder.table(Table("confirm_effects", says, Evidence.INTERVENTIONAL, effects, meanings))
    beyond = beyond_least(setup, effects)
    rest = effects[~beyond]
    undecided = with_n(rest[rest["standing"].isin([UNDECIDED, UNMEASURED])], "token")
    elsewhere = at_another_rung(rest) if families else []
    return dict(zip(_CONFIRMED, (list(effects.loc[beyond, "token"]), elsewhere, undecided), strict=True))


def draw(recorder: Recorder, frame: pd.DataFrame) -> None:
    """Declare the figure of shares."""
    shown = frame[frame["is_primary_driver"] | frame["is_tail_marker"]]
    if shown.empty:
        shown = frame.nlargest(15, "base_rate")
    shown = shown.assign(flag=["tail marker" if tail else "" for tail in shown["is_tail_marker"]])
    says = "The rows of core_coverage that the figure shows: drivers and tail markers, else the commonest."
    recorder.table(Table("core_coverage_shown", says, Evidence.OBSERVATIONAL, shown.reset_index(drop=True)))
    both = {"value": ["core_share", "tail_share"], "low": ["core_low", "tail_low"], "high": ["core_high", "tail_high"]}
    one = {"label": "token", "tick": "base_rate", "flag": "flag"}
    drawn = Figure.of("forest", "core_coverage_shown", name="core_coverage", **one, **both)
    says = "Share of contexts that hold each token, with intervals by source build; observational."
    looks = {"labels": ["core", "tail"], "together": True, "sort": "gap", "xlabel": "share of contexts that hold it"}
    recorder.figure(drawn.titled("Who fills the core, and who only marks the tail", says, **looks))


_CONFIRMED = ("confirmed_drivers", "confirmed_at_another_rung", "undecided_drivers")


def _share_intervals(held: Bools, core: Bools, tail: Bools, setup: BuildSetup) -> dict[str, Floats | Methods]:
    """Return intervals of core share, tail share and their difference by source build, by column ``[units]``."""
    groups = {"core": core, "tail": tail}
    known = held.any(0) & ~held.all(0)
    spec, clusters = setup.stats, setup.cluster
    wide = dataclasses.replace(spec, confidence=together(spec.confidence, int(known.sum())))
    own, adjusted = (
        {name: shares(held[rows], clusters[rows], spec=each) for name, rows in groups.items()} for each in (spec, wide)
    )
    found = {**own, "gap": share_gap(own["core"], own["tail"])}
    gap = share_gap(adjusted["core"], adjusted["tail"])
    return {
        **{f"{name}_low": each.low for name, each in found.items()},
        **{f"{name}_high": each.high for name, each in found.items()},
        **{f"{name}_method": each.method for name, each in found.items()},
        "gap_adj_low": gap.low,
        "gap_adj_high": gap.high,
    }


_COLUMNS = {
    "base_rate": "share of all contexts that hold it: whose family shows this rung or a higher one",
    "core_share": "share of core contexts that hold it, with its interval core_low to core_high (Wilson's, by build)",
    "tail_share": "share of tail contexts that hold it, with its interval tail_low to tail_high",
    "core_tail_gap": "core_share - tail_share, with its interval gap_low to gap_high (Newcombe's)",
    "gap_adj_low": "lower end of the interval of the gap that holds for all rows together (Bonferroni)",
    "gap_adj_high": "upper end of it",
    "core_lift_adj_low": "lower end of the interval of core_lift that holds for all rows together (Bonferroni)",
    "core_method": "how the interval was made; none: why there is none; tail_method, gap_method, core_lift_method too",
    "core_lift": "core_share over base_rate, half counts added; direction as counted",
    "is_tail_marker": "rarer in the core than in the tail (gap_adj_high below 0) and below the coverage threshold",
    "is_primary_driver": "core_lift_adj_low lies above 1, and it is no tail marker; a correlation unless confirmed",
}
