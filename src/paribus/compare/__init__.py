"""Collecting, grouping and testing finished runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.compare.arms import compare_arms
    from paribus.compare.compare import Compare
    from paribus.compare.compare_features import CompareFeatures
    from paribus.compare.compare_interventions import CompareInterventions
    from paribus.compare.compare_modular_addition import CompareModularAddition
    from paribus.compare.where import check_where

__all__ = [
    "Compare",
    "CompareFeatures",
    "CompareInterventions",
    "CompareModularAddition",
    "check_where",
    "compare_arms",
]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
