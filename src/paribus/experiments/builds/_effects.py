"""Tables of effects of experiments on builds: paired differences in, one tested row each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats
from paribus.experiments.base import Recorder
from paribus.experiments.builds._standing import standings
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.effect_vector import LEAST_TESTED
from paribus.measure.design import Design
from paribus.measure.nulls import Contrasts
from paribus.results.columns import tested
from paribus.stats.clusters import ClusterSums
from paribus.stats.effects import effect_table, established, skew_warnings
from paribus.stats.intervals import Bounds
from paribus.stats.row_sums import RowSums

RESOLUTION = 1e-5
"""Effects below this many sd are rounding of 32-bit forward passes, and none."""

TESTED_COLUMNS = ("ci_low", "ci_high", "ci_method", "ci_adj_low", "ci_adj_high", "p", "p_method", "p_adj")
"""Interval and test of one row, as any table of effects holds them."""

PLACE = "percentile of {} among like features of the same model, 0 to 100; not a p"
"""Meaning of ``null_percentile``, where the name of the effect is put in."""

EFFECT_COLUMNS: Mapping[str, str] = {
    "mean_activation": "mean activation f over the contexts of the row",
    "mean_delta": "mean paired difference of f to the same context's baseline",
    "std_delta": "sample sd of the paired differences",
    "std_error": "cluster-robust standard error of mean_delta",
    **tested("mean_delta", "whole source builds", "is the effect zero?", "all rows of this table together (max-t)"),
    "firing_rate": "share of contexts with f > 0",
    "n": "contexts measured",
    "n_clusters": "source builds they come from",
    "p_adj": "p adjusted over the rows of this table",
    "null_percentile": PLACE.format("mean_delta"),
    "null_low": "2.5 % quantile of the same effect on like features, rescaled to this feature's sd",
    "null_median": "median of that null",
    "null_high": "97.5 % quantile of that null",
    "mean_delta_z": "the same effect on the pre-activation z",
}
"""What the columns mean that tables of effects share."""


def n_judged(supported: Bools) -> int:
    """Return how many rows enough contexts ``[rows, n]`` support for an effect to be judged."""
    return int((supported.sum(1) >= LEAST_TESTED).sum())


def effect_rows(
    setup: BuildSetup,
    recorder: Recorder,
    differences: Floats | ClusterSums,
    stream: str,
    *,
    differences_z: Floats | ClusterSums | None = None,
    null: Floats | None = None,
    labels: Sequence[object] | None = None,
    least: int = LEAST_TESTED,
    bounds: Bounds | None = None,
) -> pd.DataFrame:
    """Return one effect per row of paired differences; rows with fewer than ``least`` contexts are not tested.

    Args:
        setup: Gives clusters, settings of the statistics and randomness.
        recorder: Gets warnings about skewed p-values.
        differences: Of f ``[rows, n]``, NaN where a context does not support the row; or their sums over clusters.
        stream: Name of the stream of randomness.
        differences_z: Of z, likewise; adds ``mean_delta_z``.
        null: Mean effects of the null features ``[rows, n_null]``.
        labels: Names of the rows, for warnings.
        least: Least number of contexts of a test.
        bounds: Range of the mean differences, to which intervals are cut.
    """
    if null is not None and null.shape[1] == 0:
        null = None
    rng = setup.rng(stream)
    table = effect_table(differences, setup.cluster, spec=setup.stats, rng=rng, null=null, least=least, bounds=bounds)
    untested = table["p"].isna().to_numpy()
    if null is None:
        for name in ("null_low", "null_median", "null_high", "null_percentile"):
            table[name] = np.nan
    if differences_z is not None:
        z = differences_z
        table["mean_delta_z"] = z.means if isinstance(z, ClusterSums) else row_means(z)
    for warning in skew_warnings(
        table[~untested], None if labels is None else list(np.asarray(labels, object)[~untested])
    ):
        recorder.warn(warning)
    return table


def design_effects(
    setup: BuildSetup,
    recorder: Recorder,
    design: Design,
    weights: Floats,
    stream: str,
    *,
    labels: Sequence[object],
    support: Bools | None = None,
) -> tuple[pd.DataFrame, Floats, Floats]:
    """Measure a design in all contexts, and test contrasts of its levels.

    Args:
        setup: What to measure on.
        recorder: Gets warnings, counts and progress.
        design: The levels.
        weights: One row per contrast ``[rows, levels]``.
        stream: Name of the stream of randomness.
        labels: What the rows are, for warnings.
        support: Contexts that each row is about ``[rows, n]``; None: all that have every level it uses.

    Returns:
        The table of :func:`effect_rows` with the null features' effects, the contrasts of f in each context
        ``[rows, n]``, and f at each level ``[levels, n]``.
    """
    measured = setup.measure_design(design, recorder, contrasts=Contrasts(weights, support))
    f, z = (contrast(weights, values) for values in measured.values)
    if support is not None:
        f, z = np.where(support, f, np.nan), np.where(support, z, np.nan)
    table = effect_rows(setup, recorder, f, stream, differences_z=z, null=measured.null, labels=labels)
    return table, f, measured.values[0]


def beyond_least(setup: BuildSetup, table: pd.DataFrame) -> Bools:
    """Return which rows of a table of effects are established to lie beyond the least effect that counts ``[rows]``."""
    return established(table, level=1 - setup.stats.confidence, margin=setup.stats.min_effect * setup.sd)


def standings_of(setup: BuildSetup, frame: pd.DataFrame) -> list[str]:
    """Return what each row of an effect table on f may be called (see :mod:`~paribus.experiments.builds._standing`)."""
    return standings(
        frame,
        margin=setup.stats.min_effect * setup.sd,
        spread=activation_range(setup),
        level=1 - setup.stats.confidence,
    )


def activation_range(setup: BuildSetup) -> float:
    """Return the largest minus the smallest activation over the contexts as observed."""
    f = setup.observed.f
    return float(f.max() - f.min())


def row_sums(setup: BuildSetup, n_rows: int) -> RowSums:
    """Return sums over source builds of ``n_rows`` rows, to which blocks of the setup's contexts are added.

    Where there are many source builds, all sums of a setup join the same ones.
    """
    return RowSums(n_rows, setup.cluster, setup.rng("joined_clusters"))


def row_means(values: Floats) -> Floats:
    """Return the mean of each row ``[rows, n]`` without NaN; NaN for a row without values, and no warning."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(-1) / known.sum(-1))


def contrast(weights: Floats, values: Floats) -> Floats:
    """Return weighted sums of levels in each context ``[rows, n]``.

    Args:
        weights: ``[rows, levels]``; a level of weight 0 is not used, so that its NaN does not spread.
        values: ``[levels, n]``, NaN where a level is not supported.
    """
    missing = np.isnan(values)
    out = np.asarray(weights @ np.where(missing, 0.0, values))
    out[(weights != 0).astype(np.float32) @ missing.astype(np.float32) > 0] = np.nan
    return out


def firing_rates(values: Floats) -> Floats:
    """Return the share of values above 0 in each row ``[rows, n]``, without NaN."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((np.where(known, values, 0.0) > 0).sum(-1) / known.sum(-1))


def base_numbers(setup: BuildSetup) -> dict[str, Any]:
    """Return the moments of the feature in the contexts as observed, for the aggregates."""
    f = setup.observed.f
    return {"base_activation_mean": float(f.mean()), "base_activation_std": float(f.std(ddof=1)) if len(f) > 1 else 0.0}


def summed(setup: BuildSetup, effects: pd.Series[float]) -> dict[str, Any]:
    """Return mean and sd of the effects that are known, with the number of contexts and :func:`base_numbers`."""
    known = effects.dropna()
    return {
        "mean_delta": float(known.mean()) if len(known) else None,
        "std_delta": float(known.std(ddof=1)) if len(known) > 1 else None,
        "n_samples": len(setup.contexts),
        **base_numbers(setup),
    }
