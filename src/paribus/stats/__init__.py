"""Paired, clustered effects with intervals, exact tests, multiplicity and nulls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.stats.bootstrap import Interval, cluster_interval
    from paribus.stats.dose_response import IsotonicFit, LogisticFit, isotonic_fit, logistic_fit
    from paribus.stats.effects import effect_table, established
    from paribus.stats.few import (
        FewTest,
        fisher,
        hedges_g,
        label_permutation,
        mann_whitney,
        paired_sign_flip,
        smallest_p,
    )
    from paribus.stats.levels import LevelPermutation, level_permutation
    from paribus.stats.multiplicity import adjust
    from paribus.stats.nulls import null_percentile, null_quantiles
    from paribus.stats.odds import association_table
    from paribus.stats.pooling import pool_groups
    from paribus.stats.score_intervals import score_interval
    from paribus.stats.scores import accuracy, auroc, balanced_accuracy
    from paribus.stats.shares import Shares, share_gap
    from paribus.stats.simultaneous import max_t_interval
    from paribus.stats.spec import StatsSpec

__all__ = [
    "FewTest",
    "Interval",
    "IsotonicFit",
    "LevelPermutation",
    "LogisticFit",
    "Shares",
    "StatsSpec",
    "accuracy",
    "adjust",
    "association_table",
    "auroc",
    "balanced_accuracy",
    "cluster_interval",
    "effect_table",
    "established",
    "fisher",
    "hedges_g",
    "isotonic_fit",
    "label_permutation",
    "level_permutation",
    "logistic_fit",
    "mann_whitney",
    "max_t_interval",
    "null_percentile",
    "null_quantiles",
    "paired_sign_flip",
    "pool_groups",
    "score_interval",
    "share_gap",
    "smallest_p",
]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
