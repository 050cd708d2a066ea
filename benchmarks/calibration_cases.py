"""Which experiments are calibrated, on which feature that nothing moves, and which row of each table is looked at.

``noisy`` is symmetric about 4 whatever is edited: every effect and interaction is 0 in expectation. ``source`` depends
on the source build alone and not on the gear: what goes together with it does so by chance. Tables that only observe
are calibrated on ``source``: the spread of ``noisy`` grows with the number of families a context shows, so that gear is
no longer exchangeable between its values (and what is frequent among its extremes is so not by chance).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from paribus.experiments.base import Experiment
from paribus.experiments.builds.binary_presence_effect import BinaryPresenceEffect
from paribus.experiments.builds.conditional_interactions import ConditionalInteractions
from paribus.experiments.builds.core_coverage_analysis import CoreCoverageAnalysis
from paribus.experiments.builds.decoder_output_analysis import DecoderOutputAnalysis
from paribus.experiments.builds.family_1d_sweep import Family1dSweep
from paribus.experiments.builds.family_2d_heatmap import Family2dHeatmap
from paribus.experiments.builds.frequent_itemsets import FrequentItemsets
from paribus.experiments.builds.kit_sweep import KitSweep
from paribus.experiments.builds.minimal_cores import MinimalCores
from paribus.experiments.builds.pairwise_interactions import PairwiseInteractions
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.builds.token_influence_sweep import TokenInfluenceSweep
from paribus.experiments.builds.weapon_group_analysis import WeaponGroupAnalysis
from paribus.experiments.builds.weapon_sweep import WeaponSweep
from paribus.experiments.builds.within_family_interference import WithinFamilyInterference
from paribus.experiments.validation.shuffle_null import ShuffleNull
from paribus.experiments.validation.split_half import SplitHalf
from paribus.results.schema import Result

SSU, QR, SS, SCU = "swim_speed_up", "quick_respawn", "special_saver", "special_charge_up"
SEVERAL = [SSU, QR, SS, SCU, "ink_resistance_up", "quick_super_jump", "run_speed_up", "sub_resistance_up"]


@dataclass(frozen=True)
class Check:
    """What is looked at in one table of every corpus: one row chosen beforehand, and the whole family of p-values.

    Attributes:
        table: Name of the table; "" for the verdict among the aggregates.
        row: The row: values that its columns have, or the column whose largest value (never an outcome) picks it.
        low: Column of the interval's lower end; None without an interval.
        high: Column of its upper end.
        truth: What the interval should hold.
        p: Column of the p-value; None without a test.
        adjusted: Column of the adjusted p; None where the table adjusts nothing.
        method: Which error rate ``adjusted`` bounds.
    """

    table: str
    row: Mapping[str, Any] | str = ""
    low: str | None = "ci_low"
    high: str | None = "ci_high"
    truth: float | Callable[[BuildSetup, pd.Series[Any]], float] = 0.0
    p: str | None = "p"
    adjusted: str | None = "p_adj"
    method: str = "BH"

    @property
    def label(self) -> str:
        """Name of the table, with the columns of the interval where they are not the usual ones."""
        return (self.table or "verdict") + (f" ({self.low})" if self.low not in (None, "ci_low") else "")

    def read(self, result: Result, setup: BuildSetup) -> Reading:
        """Return what this corpus shows."""
        if not self.table:
            return Reading(None, float(result.aggregates.custom["p"]), None)
        if self.table not in result.tables:
            return Reading(None, float("nan"), None)
        frame = result.tables[self.table].frame
        least = None
        if self.adjusted and frame[self.adjusted].notna().any():
            least = float(frame[self.adjusted].min())
        row = self.pick(frame)
        if row is None:
            return Reading(None, float("nan"), least)
        covered = None
        if self.low is not None and np.isfinite([row[self.low], row[self.high]]).all():
            truth = self.truth(setup, row) if callable(self.truth) else self.truth
            covered = bool(row[self.low] - 1e-9 <= truth <= row[self.high] + 1e-9)
        return Reading(covered, float(row[self.p]) if self.p else float("nan"), least)

    def pick(self, frame: pd.DataFrame) -> pd.Series[Any] | None:
        """Return the row chosen beforehand; None where the corpus has none."""
        if frame.empty:
            return None
        if isinstance(self.row, str):
            # Ties by name: the order of a table is by outcome.
            named = frame.sort_values(str(frame.columns[0]), kind="stable")
            return named.loc[named[self.row].idxmax()] if self.row else named.iloc[0]
        found = frame[np.logical_and.reduce([frame[name] == value for name, value in self.row.items()])]
        return found.iloc[0] if len(found) else None


@dataclass(frozen=True)
class Reading:
    """One corpus: does the interval hold the truth, the p of its row, the least adjusted p of the family."""

    covered: bool | None
    p: float
    least_adjusted: float | None


@dataclass(frozen=True)
class Case:
    """One experiment on one feature.

    Attributes:
        experiment: The experiment.
        checks: What is looked at.
        feature: The planted feature.
        n_builds: Source builds of every corpus.
        stats: Settings of the statistics that differ from the benchmark's.
        note: What is particular about it.
    """

    experiment: Experiment
    checks: tuple[Check, ...]
    feature: str = "noisy"
    n_builds: int = 60
    stats: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def type(self) -> str:
        """The experiment's type."""
        return self.experiment.type


def _removed(setup: BuildSetup, row: pd.Series[Any]) -> float:
    """Return the expected logit change of setting ``noisy`` (4 on average) to 0."""
    weight = setup.model.network.get_submodule("output_layer").weight
    column = setup.model.network.names.index("noisy")  # type: ignore[union-attr, operator]
    return -4.0 * float(weight.detach()[setup.vocabulary.tokens.index(row["token"]), column])  # type: ignore[index]


_OBSERVED_BY = {"low": "delta_low", "high": "delta_high"}
_SWEEP = Family1dSweep(family=SSU, rungs=[3, 6, 12, 15], placebo_contexts=0)
_PAIRS = [QR, SS, SSU, SCU]

CASES = (
    Case(
        _SWEEP,
        (Check("rung_deltas", {"rung": 12}), Check("observed_by_rung", {"rung": 3}, None, None)),
    ),
    Case(_SWEEP, (Check("observed_by_rung", {"rung": 3}, None, None),), feature="source"),
    Case(_SWEEP, (Check("rung_deltas", {"rung": 12}, method="Holm"),), stats={"adjust": "holm"}, note="Holm"),
    Case(_SWEEP, (Check("rung_deltas", {"rung": 12}),), n_builds=24, note="24 builds"),
    Case(
        Family2dHeatmap(family_x=SSU, family_y=QR, rungs_x=[3, 12], rungs_y=[3, 12]),
        (Check("heatmap", {"x": 12, "y": 12}, p="p"),),
    ),
    Case(
        BinaryPresenceEffect(abilities=["comeback", "stealth_jump", "ninja_squid", "tenacity"]),
        (
            Check("binary_effects", {"ability": "comeback"}),
            Check("binary_effects", {"ability": "ninja_squid"}, None, None, p="p_observational", adjusted=None),
        ),
    ),
    Case(
        MinimalCores(retention_threshold=0.9, max_contexts=20, exact_units=8, top_fraction=0.3),
        (Check("core_effects", "n"),),
        n_builds=160,
        note="the commonest core, found on the other half",
    ),
    Case(
        PairwiseInteractions(candidates=_PAIRS),
        (
            Check("interactions", {"token_a": QR, "token_b": SS}),
            Check("triples"),
        ),
    ),
    Case(
        PairwiseInteractions(n_candidates=4, triples=False),
        (Check("interactions"),),
        n_builds=120,
        note="candidates chosen by the data",
    ),
    Case(
        ConditionalInteractions(candidates=[QR, SS, SSU], modulator=SCU),
        (Check("conditional_interactions", {"token_a": QR, "token_b": SS}), Check("interactions")),
    ),
    Case(
        WithinFamilyInterference(families=[SSU, QR], rung=12),
        (Check("interference", {"family": SSU, "lower_rung": 6}),),
    ),
    Case(
        FrequentItemsets(min_support=0.1, max_size=2, max_itemsets=30, high_quantile=0.7),
        (Check("itemsets", "support", "lift_low", "lift_high", truth=1.0, method="Westfall-Young"),),
        feature="source",
    ),
    Case(
        FrequentItemsets(min_support=0.1, max_size=2, high_quantile=0.7, top=5, confirm=True),
        (Check("confirmed"),),
        note="the top set, inserted",
    ),
    Case(
        WeaponSweep(min_examples=4, swap_contexts=50),
        (
            Check("weapon_swaps", {"weapon": "Splattershot"}),
            Check("weapon_stats", "n", **_OBSERVED_BY),
            Check("class_stats", "n", **_OBSERVED_BY),
        ),
        n_builds=150,
    ),
    Case(
        WeaponSweep(min_examples=4, swap_contexts=5),
        (Check("weapon_stats", "n", **_OBSERVED_BY), Check("class_stats", "n", **_OBSERVED_BY)),
        feature="source",
        n_builds=150,
    ),
    Case(
        WeaponGroupAnalysis(min_examples=4, high_quantile=0.7),
        (Check("weapon_enrichment", "n", "odds_low", "odds_high", truth=1.0),),
        feature="source",
        n_builds=100,
    ),
    Case(
        KitSweep(min_examples=3, swap_contexts=50, analyze_combinations=False),
        (
            Check("sub_swaps", {"sub": "Splat Bomb"}),
            Check("sub_swaps", {"sub": "Splat Bomb"}, None, None, p="p_kit", adjusted="p_kit_adj"),
            Check("sub_stats", "n", **_OBSERVED_BY),
            Check("special_stats", "n", **_OBSERVED_BY),
        ),
        n_builds=500,
    ),
    Case(
        TokenInfluenceSweep(unit="family", high_quantile=0.7),
        (Check("influence", {"token": SSU}),),
    ),
    Case(
        TokenInfluenceSweep(unit="family", high_quantile=0.7, influence_contexts=1),
        (Check("all_tokens", {"token": SSU}, "log_odds_low", "log_odds_high", method="Westfall-Young"),),
        feature="source",
    ),
    Case(
        CoreCoverageAnalysis(unit="family"),
        (
            Check("core_coverage", {"token": SSU}, "core_lift_low", "core_lift_high", 1.0, None, None),
            Check("core_coverage", {"token": SSU}, "gap_low", "gap_high", 0.0, None, None),
        ),
        feature="source",
        n_builds=100,
    ),
    Case(
        DecoderOutputAnalysis(top_tokens=10, max_contexts=100),
        (Check("logit_changes", {"set_to": "zero"}, truth=_removed, p=None, adjusted=None),),
    ),
    Case(
        SplitHalf(target=WithinFamilyInterference(families=[SSU, QR, SS], rung=15), n_splits=20, n_shuffles=99),
        (Check("", low=None),),
        note="interventional",
    ),
    Case(
        SplitHalf(target=CoreCoverageAnalysis(unit="family"), n_splits=10, n_shuffles=39, shuffle_splits=1),
        (Check("", low=None),),
        feature="source",
        note="observational",
    ),
    Case(
        ShuffleNull(target=WithinFamilyInterference(families=[SSU, QR, SS], rung=15), n_shuffles=99),
        (Check("", low=None),),
        note="interventional",
    ),
    Case(
        ShuffleNull(target=CoreCoverageAnalysis(unit="family"), n_shuffles=59),
        (Check("", low=None),),
        feature="source",
        note="observational",
    ),
)
"""Every experiment type on builds that has intervals or tests."""
