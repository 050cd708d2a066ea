"""Whether another experiment would report the same effects under the null hypothesis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.base import STABILITY
from paribus.experiments.validation.validation_experiment import Validation
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class ShuffleNull(Validation):
    """Recompute the target's effects many times under the null hypothesis, and compare its own with these draws.

    Example:
        >>> from paribus.experiments.builds.family_1d_sweep import Family1dSweep
        >>> ShuffleNull(target=Family1dSweep(family="SSU")).statistic
        'rms'
    """

    type: ClassVar[str] = "shuffle_null"
    version: ClassVar[int] = 2
    flips_signs: ClassVar[bool] = True
    summary: ClassVar[str] = "Another experiment's effects against the same under shuffled activations or sign flips."
    bears_on: ClassVar[tuple[str, ...]] = (STABILITY,)

    n_shuffles: int = field(499, low=39, high=100000, help="Null draws: sign patterns, or shuffles of activations.")
    statistic: str = field(
        "rms", choices=("rms", "max_abs"), help="What sums the effects up: root mean square, or the largest one."
    )
