"""Whether two halves of the data agree on the effects another experiment reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.base import STABILITY
from paribus.experiments.validation.validation_experiment import Validation
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class SplitHalf(Validation):
    """Split the clusters (source builds) in two many times, run the target on each half, and correlate its effects.

    Example:
        >>> from paribus.experiments.builds.family_1d_sweep import Family1dSweep
        >>> SplitHalf(target=Family1dSweep(family="SSU"), n_splits=20).evidence
        <Evidence.INTERVENTIONAL: 'interventional'>
    """

    type: ClassVar[str] = "split_half"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "Do two halves of the data agree on another experiment's effects?"
    bears_on: ClassVar[tuple[str, ...]] = (STABILITY,)

    n_splits: int = field(100, low=10, high=10000, help="Random splits of the clusters in two halves.")
    n_shuffles: int = field(199, low=39, high=100000, help="Null draws: sign patterns, or shuffles of activations.")
    shuffle_splits: int = field(
        3, low=1, help="Splits that the tested mean is taken over where each has to be computed anew (observational)."
    )
