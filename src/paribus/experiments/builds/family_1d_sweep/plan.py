"""A family measured at several levels, and the contexts that each level is compared on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.experiments.builds._effects import contrast, row_sums
from paribus.experiments.builds.setup import BuildSetup
from paribus.measure.stream import Stream
from paribus.stats.clusters import ClusterSums
from paribus.stats.row_sums import LevelTotals
from paribus.stats.trend import PageSums

PREFIX_SHARE = 0.5
"""Share of contexts in which a rung must be legal to be compared on the common set."""


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep compares.

    Attributes:
        levels: The levels, the baseline first.
        support: Contexts that each level is measured on ``[levels, n]``.
        kind: ``common`` or ``own`` for each level.
        wearable: In how many contexts each level is legal, whether or not the baseline is legal there ``[levels]``.
    """

    levels: list[int | None]
    support: Bools
    kind: list[str]
    wearable: Ints

    @property
    def doses(self) -> Ints:
        """AP of each level; 0 is absent ``[levels]``."""
        return np.array([level or 0 for level in self.levels], np.int64)

    def differences(self, values: Floats, columns: Ints) -> Floats:
        """Return paired differences to the baseline ``[levels - 1, b]`` of contexts ``columns [b]``; NaN: no support.

        Args:
            values: ``[levels, b]``.
            columns: Which contexts.
        """
        return np.where(self.support[:, columns], values - values[0], np.nan)[1:]

    def ordered(self) -> Bools:
        """Return which levels form one curve: those measured on the common contexts (all, where these are few)."""
        common = np.array([kind == "common" for kind in self.kind])
        return (common if common.sum() >= 2 else np.ones_like(common)) & self.support.any(1)

    def untested(self, least: int) -> list[str]:
        """Return why each level has no test and no interval ``[levels]``; empty where it has them.

        A family at its highest rung fills every slot, so that its contexts are empty builds without it: then no context
        supports both ends of the comparison, however many there are.

        Args:
            least: Contexts that a test needs.
        """
        said = [""]
        total = self.support.shape[1]
        for n, wearable in zip(self.support[1:].sum(1).tolist(), self.wearable[1:].tolist(), strict=True):
            if n >= least:
                said.append("")
            elif not wearable:
                said.append(f"none of {total} contexts allow it")
            elif n == wearable:
                said.append(f"{n} of {total} contexts allow it; a test needs {least}")
            else:
                said.append(f"{wearable} of {total} contexts allow it, {n} of them the baseline too{self._hint()}")
        return said

    def _hint(self) -> str:
        if self.levels[0] is not None:
            return ""
        return (
            " (the others are empty builds without the family; constraints.keep_empty=true keeps these, "
            "experiment.include_absent=false compares with the lowest rung)"
        )

    def slope_weights(self) -> Floats | None:
        """Return the weights ``[1, levels]`` that make a context's least-squares slope per AP of its ordered levels.

        Levels outside the curve weigh 0. None where fewer than two levels form a curve.
        """
        ordered = self.ordered()
        if ordered.sum() < 2:
            return None
        centred = np.where(ordered, self.doses - self.doses[ordered].mean(), 0.0)
        weights: Floats = (centred / (centred**2).sum())[None]
        return weights


@dataclass(frozen=True)
class Swept:
    """What is known of all contexts.

    Attributes:
        plan: What is compared.
        delta: Paired differences of f to the baseline, ``[levels - 1]`` rows.
        delta_z: The same of z.
        null: Mean effects of the null features ``[levels - 1, n_null]``.
        mean: Mean activation on the contexts that support each level ``[levels]``; NaN without any.
        firing_rate: Share of them with f > 0.
        ranks: Ranks of the ordered levels within each context.
        slope: Least-squares slope per AP over the ordered levels of each context, one row; None without a curve.
    """

    plan: SweepPlan
    delta: ClusterSums
    delta_z: ClusterSums
    null: Floats | None
    mean: Floats
    firing_rate: Floats
    ranks: PageSums
    slope: ClusterSums | None


def add_up(setup: BuildSetup, plan: SweepPlan, stream: Stream) -> Swept:
    """Measure all blocks of ``stream`` (f and z at each level) and return their sums."""
    n_levels, ordered = len(plan.levels), plan.ordered()
    delta, delta_z = (row_sums(setup, n_levels - 1) for _ in range(2))
    ranks = PageSums(setup.cluster, plan.doses[ordered])
    totals = LevelTotals(n_levels)
    weights, slopes = plan.slope_weights(), row_sums(setup, 1)
    for block in stream:
        columns, (f, z) = block.columns, block.values
        delta.add(plan.differences(f, columns), columns)
        delta_z.add(plan.differences(z, columns), columns)
        values = np.where(plan.support[:, columns], f, np.nan)
        ranks.add(values[ordered].T, columns)
        totals.add(values)
        if weights is not None:
            slopes.add(contrast(weights, values - values[0]), columns)  # equal values then have a slope of exactly 0
    slope = None if weights is None else slopes.result()
    return Swept(plan, delta.result(), delta_z.result(), stream.null, totals.means, totals.shares_above, ranks, slope)


def supported(feasible: Bools, how: str) -> tuple[Bools, list[str]]:
    """Choose the contexts of each level.

    Args:
        feasible: ``[levels, n]``, the baseline first.
        how: ``prefix``: levels up to the highest one feasible in half of the contexts share one common set, higher
            ones have their own; ``per_rung``: each its own; ``common``: one set for all.

    Returns:
        The contexts ``[levels, n]``, and ``common`` or ``own`` for each level.
    """
    own = feasible & feasible[0]
    if how == "per_rung":
        return own, ["own"] * len(feasible)
    shares = own.mean(1)
    last = len(feasible) - 1
    if how == "prefix":
        enough = np.flatnonzero(shares >= PREFIX_SHARE)
        last = int(enough.max(initial=0))
    common = own[: last + 1].all(0)
    out = own.copy()
    out[: last + 1] = common
    return out, ["common" if i <= last else "own" for i in range(len(feasible))]
