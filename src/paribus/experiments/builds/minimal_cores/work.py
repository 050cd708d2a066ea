"""Finds minimal cores in one half of the source builds, and judges them in the other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Ints
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import base_numbers, n_judged, row_means
from paribus.experiments.builds._removable_units import RemovableUnits, reference_weapons
from paribus.experiments.builds.minimal_cores import tables
from paribus.experiments.builds.minimal_cores.search import Cores, find_cores
from paribus.experiments.builds.minimal_cores.spec import MinimalCores
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.effect_vector import EffectVector
from paribus.measure.design import Design
from paribus.results.schema import INTERVAL, Aggregates, Figure
from paribus.results.words import counted
from paribus.subjects.builds.families import FAMILIES
from paribus.subjects.builds.states import States, concatenate


def removable(experiment: MinimalCores, setup: BuildSetup, complete: States) -> Bools:
    """Return which units each complete context has ``[n, 27]``: families shown, and the weapon if asked.

    Raises:
        ConfigError: If a family is unknown, or both excluded and clamped or held.
    """
    clamped = experiment.clamped(setup)
    present = setup.edits.families_present(complete)
    present[:, [family.index for family in clamped]] = False
    return np.concatenate([present, np.full((len(present), 1), experiment.include_weapon)], axis=1)


def high_contexts(
    experiment: MinimalCores, setup: BuildSetup, looked_in: Bools, complete: States, units: Bools
) -> Ints:
    """Return the contexts to analyse: among ``looked_in``, those of high activation that have units.

    Activation is that of the complete contexts, with tokens held and families excluded.

    Raises:
        ConfigError: If there is none.
    """
    f = setup.measure(complete).f
    pool = np.flatnonzero(looked_in & ~np.isnan(f))
    least = np.quantile(f[pool], 1 - experiment.top_fraction) if len(pool) else 0.0
    high = pool[(f[pool] > 0) & (f[pool] >= least) & units[pool].any(1)]
    if not len(high):
        raise ConfigError(
            f"none of {len(pool)} contexts has an activation above 0 and a unit to take away; choose another "
            "feature or slice, or clamp fewer families"
        )
    return setup.drawn(high, experiment.max_contexts, "core_contexts")


def n_supported(experiment: MinimalCores, setup: BuildSetup) -> int:
    """Return how many families enough contexts show, without measuring."""
    units = removable(experiment, setup, experiment.complete(setup, setup.contexts.states()))
    return n_judged(units[:, : len(FAMILIES)].T)


def effect_vector(experiment: MinimalCores, setup: BuildSetup) -> EffectVector:
    """Return the mean effect of taking away each family, over the contexts that show it."""
    units = removable(experiment, setup, experiment.complete(setup, setup.contexts.states()))[:, : len(FAMILIES)]
    shown = np.flatnonzero(units.any(0))

    def edited(states: States) -> States:
        whole = experiment.complete(setup, states)
        less = [setup.edits.remove_units(whole, [FAMILIES[i]])[None] for i in shown]
        return concatenate([whole[None], *less])

    f, _ = setup.measure_design(Design(edited, 1 + len(shown))).values
    differences = np.where(units[:, shown].T, f[:1] - f[1:], np.nan)
    return EffectVector(tuple(FAMILIES[i].name for i in shown), row_means(differences), differences)


def run(experiment: MinimalCores, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Find the cores in one half of the source builds, and measure on the other what taking them away does."""
    setup.describe(recorder)
    complete = experiment.complete(setup, setup.contexts.states())
    held = removable(experiment, setup, complete)
    looked_in = setup.half("core_halves", larger=True)  # those of the other source builds judge them
    rows = high_contexts(experiment, setup, looked_in, complete, held)
    weapons = reference_weapons(setup, experiment.n_reference_weapons)
    units = RemovableUnits(setup, complete[rows], held[rows], weapons)
    found = find_cores(units, experiment, recorder)
    clusters = setup.cluster[rows]
    cores = tables.cores_table(setup, found, held[rows], clusters, most=experiment.max_cores)
    recorder.table(cores)
    recorder.table(tables.contexts_table(found, rows, clusters, units.counts))
    if found.told.any():
        recorder.table(tables.frequency_table(setup, found, held[rows], clusters))
        draw(experiment, recorder)
    masks, _ = found.distinct()
    judges = setup.restrict(np.flatnonzero(~looked_in))
    effects = tables.effects_table(judges, experiment, masks[: experiment.max_cores], weapons, recorder)
    if effects is not None:
        recorder.table(effects)
    tell(experiment, recorder, found, len(masks))
    return aggregates(setup, found, cores.frame, None if effects is None else effects.frame)


def tell(experiment: MinimalCores, recorder: Recorder, found: Cores, n: int) -> None:
    """Warn about contexts that were left out or searched incompletely, and where not all ``n`` cores are listed."""
    if found.indifferent.any():
        recorder.warn(
            f"in {int(found.indifferent.sum())} of {len(found.full)} analysed contexts every unit alone keeps the "
            "activation: they do not tell which units are needed (the set without any token is not measured unless "
            "constraints.keep_empty=true) and were left out"
        )
    if wide := int((found.full > 0).sum() - found.exhaustive.sum()):
        recorder.warn(
            f"more than {experiment.exact_units} units in {counted(wide, 'context')}, searched by greedy deletion and "
            "a beam: their cores are not exhaustive"
        )
    if n > experiment.max_cores:
        recorder.warn(f"{n} distinct cores were found; the {experiment.max_cores} most frequent are listed")


def aggregates(setup: BuildSetup, found: Cores, cores: pd.DataFrame, effects: pd.DataFrame | None) -> Aggregates:
    """Return the numbers that sum the cores up; the headline effect is that of the most frequent core."""
    first = None if effects is None else effects.iloc[0]
    top = cores.iloc[0] if len(cores) else None
    return Aggregates(
        mean_delta=None if first is None else float(first["mean_delta"]),
        std_delta=None if first is None else float(first["std_delta"]),
        n_samples=len(found.full),
        n_conditions=len(cores),
        **base_numbers(setup),
        custom={
            "n_cores": len(cores),
            "top_core": None if top is None else top["core"],
            "top_coverage": None if top is None else float(top["coverage"]),
            "mean_core_size": None if top is None else float(np.average(cores["size"], weights=cores["n_contexts"])),
            "n_informative": int(found.told.sum()),
            "indifferent_share": float(1 - found.told.mean()),
            "exhaustive_share": float(found.exhaustive.mean()),
        },
    )


def draw(experiment: MinimalCores, recorder: Recorder) -> None:
    """Declare the bars of cores and of families."""
    says = (
        f"Share of the analysed contexts in which the set alone keeps {experiment.retention_threshold:.0%} of the "
        "activation and no smaller part of it does. Contexts have been chosen for high activation."
    )
    drawn = Figure.of("bars", "cores", label="core", value="coverage", low="coverage_low", high="coverage_high")
    recorder.figure(drawn.titled("Minimal cores", says, xlabel="share of contexts", horizontal=True, max_rows=20))
    drawn = Figure.of("bars", "family_frequency", label="family", value="frequency", **INTERVAL)
    says = "Share of the analysed contexts holding the family in which some minimal core needs it."
    looks = {"xlabel": "share of the contexts that hold it", "horizontal": True, "max_rows": 26}
    recorder.figure(drawn.titled("How often a family belongs to a core", says, **looks))
