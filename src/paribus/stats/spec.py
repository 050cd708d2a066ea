"""Settings of the statistics: the ``stats`` config group."""

from __future__ import annotations

from dataclasses import dataclass

from paribus.spec import Spec, field


@dataclass(frozen=True)
class StatsSpec(Spec, kind="stats"):
    """How intervals, tests and nulls are computed.

    Example:
        >>> spec = StatsSpec(n_bootstrap=500, confidence=0.9)
        >>> spec.n_bootstrap, spec.adjust
        (500, 'bh')
    """

    n_bootstrap: int = field(2000, low=100, high=1_000_000, help="Cluster-bootstrap resamples of every interval.")
    confidence: float = field(0.95, above=0.5, below=1.0, help="Nominal coverage of every interval.")
    n_permutations: int = field(
        9999, low=99, high=10_000_000, help="Least number of Monte Carlo sign flips or permutations."
    )
    n_null: int = field(200, low=0, high=100_000, help="Draws of each named null (random directions, units, features).")
    adjust: str = field("bh", choices=("bh", "holm"), help="Adjustment over a table: Benjamini-Hochberg or Holm.")
    min_effect: float = field(0.1, low=0.0, help="Smallest effect that counts, in sd of the feature.")
