"""The tables of minimal cores."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import EFFECT_COLUMNS, design_effects, firing_rates, row_means
from paribus.experiments.builds._level_means import LevelMeans
from paribus.experiments.builds._removable_units import UNIT_NAMES, WEAPON, core_name
from paribus.experiments.builds.minimal_cores import MinimalCores
from paribus.experiments.builds.minimal_cores.search import Cores
from paribus.experiments.builds.setup import BuildSetup
from paribus.measure.design import Design
from paribus.methods.contrast import to_baseline
from paribus.results.columns import interval
from paribus.results.evidence import Evidence
from paribus.results.schema import Table
from paribus.stats.bootstrap import cluster_interval
from paribus.stats.intervals import AT_LEAST_0
from paribus.stats.shares import shares
from paribus.subjects.builds.edits import families_present
from paribus.subjects.builds.states import States, concatenate


def cores_table(setup: BuildSetup, found: Cores, held: Bools, clusters: Ints, *, most: int) -> Table:
    """Return one row per distinct core, the most frequent first.

    Args:
        setup: Gives the settings of the statistics.
        found: The cores.
        held: The units of each analysed context ``[m, 27]``.
        clusters: Their source builds ``[m]``.
        most: The most cores listed.
    """
    told, spec = np.flatnonzero(found.told), setup.stats
    masks, counts = (each[:most] for each in found.distinct())
    every = np.full((len(found.full), len(masks)), np.nan)
    for column, mask in enumerate(masks):
        mine = found.mask == mask
        every[found.row[mine], column] = found.retention[mine]
    retention = every[told]
    kept = cluster_interval(retention, clusters[told], spec=spec, rng=setup.rng("cores/retention"), bounds=AT_LEAST_0)
    covered = shares(~np.isnan(retention), clusters[told], spec=spec)
    holding = (units_as_bits(held[told])[:, None] & masks) == masks
    frame = pd.DataFrame(
        {
            "core": [core_name(int(mask)) for mask in masks],
            "size": np.bitwise_count(masks).astype(np.int64),
            "n_contexts": counts,
            "n_holding": holding.sum(0),
            "coverage": covered.share,
            "coverage_low": covered.low,
            "coverage_high": covered.high,
            "coverage_method": covered.method,
            "mean_retention": row_means(retention.T),
            "ci_low": kept.low,
            "ci_high": kept.high,
            "ci_method": kept.method,
            "exhaustive": (found.exhaustive[told, None] | ~holding).all(0),
        }
    )
    meanings = {
        "core": "the units of the core; (nothing): the activation stays without any unit",
        "size": "number of units",
        "n_contexts": "contexts in which it is a minimal core",
        "n_holding": "analysed contexts that hold all of its units",
        "coverage": "n_contexts over all analysed contexts that can tell which units are needed",
        "coverage_low": "lower end of its interval (Wilson's, by source build)",
        "coverage_high": "upper end of it",
        "mean_retention": "mean of f(core alone) / f(complete context)",
        **interval("ci", "the cluster-bootstrap interval of mean_retention"),
        "exhaustive": "whether every subset of every context that holds the core was looked at",
    }
    says = "One row per minimal core: units that together keep the activation while none of their proper subsets does."
    return Table("cores", says, Evidence.INTERVENTIONAL, frame, meanings)


def frequency_table(setup: BuildSetup, found: Cores, held: Bools, clusters: Ints) -> Table:
    """Return, for every unit, in how many of the analysed contexts that hold it it is part of a core."""
    told = np.flatnonzero(found.told)
    m = len(found.full)
    some, every = np.zeros(m, np.int64), np.full(m, -1, np.int64)
    np.bitwise_or.at(some, found.row, found.mask)
    np.bitwise_and.at(every, found.row, found.mask)
    every[some == 0] = 0
    shown = np.flatnonzero(held[told].any(0))
    member = np.where(held[told][:, shown], (some[told, None] >> shown & 1).astype(float), np.nan)
    needed = np.where(held[told][:, shown], (every[told, None] >> shown & 1).astype(float), np.nan)
    around = shares(member, clusters[told], spec=setup.stats)
    frame = pd.DataFrame(
        {
            "family": [UNIT_NAMES[i] for i in shown],
            "n_holding": (~np.isnan(member)).sum(0),
            "n_in_core": np.nansum(member, 0).astype(np.int64),
            "frequency": around.share,
            "ci_low": around.low,
            "ci_high": around.high,
            "ci_method": around.method,
            "in_every_core": row_means(needed.T),
        }
    ).sort_values(["frequency", "n_holding"], ascending=False, ignore_index=True)
    meanings = {
        "n_holding": "analysed contexts that hold the unit",
        "n_in_core": "those in which some minimal core holds it",
        "frequency": "n_in_core / n_holding",
        **interval("ci", "the interval of frequency (Wilson's, by source build)"),
        "in_every_core": "share of n_holding in which every minimal core holds it: nothing else replaces it",
    }
    says = "One row per unit: how often it belongs to a minimal core of an analysed context that holds it."
    return Table("family_frequency", says, Evidence.INTERVENTIONAL, frame, meanings)


def contexts_table(found: Cores, rows: Ints, clusters: Ints, counts: Ints) -> Table:
    """Return one row per analysed context."""
    n_cores = np.bincount(found.row, minlength=len(rows))
    smallest = np.full(len(rows), np.inf)
    np.minimum.at(smallest, found.row, np.bitwise_count(found.mask).astype(float))
    frame = pd.DataFrame(
        {
            "context": rows,
            "cluster": clusters,
            "activation": found.full,
            "n_units": counts,
            "n_cores": n_cores,
            "smallest_core": np.where(np.isinf(smallest), np.nan, smallest),
            "exhaustive": found.exhaustive,
            "indifferent": found.indifferent,
        }
    )
    meanings = {
        "context": "its place among the contexts of the slice",
        "activation": "f of the complete context, excluded families taken away",
        "exhaustive": "whether its whole lattice was decided (else greedy deletion and a beam)",
        "indifferent": "whether every unit alone suffices, so that the context does not tell which is needed",
    }
    says = "One row per analysed context."
    return Table("contexts", says, Evidence.INTERVENTIONAL, frame, meanings)


def effects_table(
    setup: BuildSetup, experiment: MinimalCores, cores: Ints, weapons: Ints, recorder: Recorder
) -> Table | None:
    """Return what taking each core away does on contexts that played no part in finding it; None without any.

    Args:
        setup: The contexts to measure on, whatever their activation.
        experiment: Says which states are edited.
        cores: Masks over the units.
        weapons: The reference weapons.
        recorder: Gets counts and warnings.
    """
    cores = cores[cores != 0]
    if not len(cores) or not len(setup.contexts):
        return None
    swaps = [weapons if core >> WEAPON & 1 else None for core in cores]
    means = LevelMeans.of_sizes([1, *(1 if swap is None else len(swap) for swap in swaps)])

    def edited(states: States) -> States:
        held = experiment.complete(setup, states)
        levels = [held[None]]
        for core, swap in zip(cores, swaps, strict=True):
            drop = np.array([core >> i & 1 for i in range(WEAPON)], bool)
            less = setup.edits.remove_where(held, drop)
            levels.append(less[None] if swap is None else setup.edits.swap_weapon(less[None], swap[:, None]))
        return concatenate(levels)

    complete = experiment.complete(setup, setup.contexts.states())
    present = units_as_bits(families_present(complete.codes)) | 1 << WEAPON
    support = (present & cores[:, None]) == cores[:, None]
    design = Design(edited, means.n_states, description="cores taken away")
    weights = means.spread(-to_baseline(1 + len(cores)))
    names = [core_name(int(core)) for core in cores]
    table, f, at_levels = design_effects(
        setup, recorder, design, weights, "core_effects", labels=names, support=support
    )
    whole = np.where(support & ~np.isnan(f), at_levels[0], np.nan)
    table.insert(0, "core", names)
    table.insert(1, "mean_activation", row_means(whole))
    table.insert(2, "firing_rate", firing_rates(whole))
    table.insert(3, "firing_rate_without", firing_rates(np.where(np.isnan(whole), np.nan, whole - f)))
    meanings = {
        **EFFECT_COLUMNS,
        "mean_delta": "mean of f(context) - f(context without the core's units)",
        "mean_activation": "mean f of the contexts that hold the core",
        "firing_rate": "share of them with f > 0",
        "firing_rate_without": "share of them with f > 0 once the core is taken away",
    }
    says = (
        "Taking each core away from contexts of the other half of the source builds, whatever their activation: the "
        "effect is not chosen by the data it is measured on."
    )
    return Table("core_effects", says, Evidence.INTERVENTIONAL, table, meanings)


def units_as_bits(held: Bools) -> Ints:
    """Return units ``[m, 27]`` as masks ``[m]``."""
    return np.asarray((held.astype(np.int64) << np.arange(held.shape[1])).sum(1), np.int64)
