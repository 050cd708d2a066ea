"""Two arms of runs: which test fits their seeds, how far apart they are, and what the design could show at best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paribus.stats import few
from paribus.stats.multiplicity import adjust

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

Unit = Any
"""What is independent: a seed."""


@dataclass(frozen=True)
class ArmComparison:
    """Arm ``a`` against arm ``b`` (the reference).

    Attributes:
        smallest_p: The smallest p the design can reach.
        design: ``paired_sign_flip`` (same seeds), ``label_permutation``, ``fisher`` (yes/no), or ``none``.
        n: Units of ``a``.
        n_reference: Units of ``b``.
        mean: Mean of ``a``.
        mean_reference: Mean of ``b``.
        difference: ``mean - mean_reference``.
        ci_low: Lower end of its interval; NaN where there is none.
        ci_high: Upper end.
        ci_method: How the interval was made.
        hedges_g: Standardised difference.
        p: Two-sided p of ``design``; NaN where nothing could be tested.
        p_mann_whitney: Exact Mann-Whitney p of unpaired arms; NaN for pairs.
        missing: Units that only one arm has, as text.
    """

    smallest_p: float
    design: str
    n: int
    n_reference: int
    mean: float
    mean_reference: float
    difference: float
    ci_low: float
    ci_high: float
    ci_method: str
    hedges_g: float
    p: float
    p_mann_whitney: float
    missing: str


def compare_arms(
    a: Mapping[Unit, float], b: Mapping[Unit, float], *, spec: StatsSpec, rng: np.random.Generator, yes_no: bool = False
) -> ArmComparison:
    """Compare two arms of runs, each a mapping from unit (seed) to its outcome.

    The design follows from the seeds alone, never from the outcomes: the same seeds in both arms are paired; otherwise
    labels are permuted over all runs and the seeds that only one arm has are named.

    Args:
        a: Outcomes of the arm by seed; values that are not finite are left out.
        b: Outcomes of the reference arm.
        spec: Settings of the intervals and tests.
        rng: Randomness of the bootstrap (and of permutations where they cannot be enumerated).
        yes_no: Outcomes are 0 or 1 and compared by Fisher's exact test.
    """
    a, b = _finite(a), _finite(b)
    x, y = np.array(list(a.values())), np.array(list(b.values()))
    missing = _missing(a, b)
    mean = float(x.mean()) if len(x) else math.nan
    reference = float(y.mean()) if len(y) else math.nan
    design, floor, p, p_rank = "none", math.nan, math.nan, math.nan
    low, high, how, g = math.nan, math.nan, "none", math.nan
    if min(len(x), len(y)) >= 1 and len(x) + len(y) >= 3:
        design, floor, p, p_rank = _test(a, b, spec, rng, yes_no)
        low, high, how = _interval(a, b, spec, rng)
        g = few.hedges_g(x, y)
    return ArmComparison(
        floor, design, len(x), len(y), mean, reference, mean - reference, low, high, how, g, p, p_rank, missing
    )


def one_arm(values: Sequence[float], *, spec: StatsSpec, rng: np.random.Generator) -> tuple[float, float, float, str]:
    """Return mean and interval of the outcomes of one arm: bootstrap from six runs on, Student's t from two."""
    found = np.array([v for v in values if math.isfinite(v)])
    if not len(found):
        return math.nan, math.nan, math.nan, "none"
    interval = few.stratified_interval([found], spec=spec, rng=rng)
    if interval.method == "none":
        return float(found.mean()), *_student(found, spec.confidence)
    return float(found.mean()), float(interval.low), float(interval.high), str(interval.method)


def holm(table: pd.DataFrame, column: str = "p") -> pd.DataFrame:
    """Return ``table`` with ``p_adj`` (Holm over all its rows) after ``column``, and the floor of ``p_adj``.

    ``smallest_p_adj`` is what the design could reach after adjustment, were all other rows unremarkable.
    """
    tested = int(table[column].notna().sum())
    table = table.copy()
    table.insert(list(table.columns).index(column) + 1, "p_adj", adjust(table[column].to_numpy(float), "holm"))
    floors = (table["smallest_p"] * max(1, tested)).clip(upper=1.0)
    table.insert(list(table.columns).index("smallest_p") + 1, "smallest_p_adj", floors)
    return table


def _finite(values: Mapping[Unit, float]) -> dict[Unit, float]:
    return {unit: float(value) for unit, value in values.items() if value is not None and math.isfinite(float(value))}


def _missing(a: Mapping[Unit, float], b: Mapping[Unit, float]) -> str:
    only_a, only_b = sorted(set(a) - set(b), key=str), sorted(set(b) - set(a), key=str)
    if not set(a) & set(b):
        return ""
    texts = []
    if only_b:
        texts.append(f"missing: {', '.join(map(str, only_b))}")
    if only_a:
        texts.append(f"missing in the reference: {', '.join(map(str, only_a))}")
    return "; ".join(texts)


def _test(
    a: Mapping[Unit, float], b: Mapping[Unit, float], spec: StatsSpec, rng: np.random.Generator, yes_no: bool
) -> tuple[str, float, float, float]:
    x, y = np.array(list(a.values())), np.array(list(b.values()))
    if yes_no:
        found = few.fisher(int(x.sum()), len(x), int(y.sum()), len(y))
        return found.test, found.smallest_p, found.p, math.nan
    if set(a) == set(b):
        found = few.paired_sign_flip([a[u] - b[u] for u in a], rng=rng, n_permutations=spec.n_permutations)
        return found.test, found.smallest_p, found.p, math.nan
    found = few.label_permutation(x, y, rng=rng, n_permutations=spec.n_permutations)
    ranks = few.mann_whitney(x, y, rng=rng, n_permutations=spec.n_permutations)
    return found.test, found.smallest_p, found.p, ranks.p


def _interval(
    a: Mapping[Unit, float], b: Mapping[Unit, float], spec: StatsSpec, rng: np.random.Generator
) -> tuple[float, float, str]:
    x, y = np.array(list(a.values())), np.array(list(b.values()))
    paired = set(a) == set(b)
    differences = np.array([a[u] - b[u] for u in a if u in b])
    if paired and len(differences) >= 6:
        interval = few.stratified_interval([differences], spec=spec, rng=rng)
    elif paired:
        # Too few pairs to resample: Student's t over the differences is the interval that still covers.
        return _student(differences, spec.confidence)
    else:
        interval = few.stratified_interval([x, y], contrast=(1.0, -1.0), spec=spec, rng=rng)
    if interval.method != "none":
        return float(interval.low), float(interval.high), str(interval.method)
    return _welch(x, y, spec.confidence)


def _student(values: np.ndarray[Any, Any], confidence: float) -> tuple[float, float, str]:
    from scipy import stats

    if len(values) < 2:
        return math.nan, math.nan, "none"
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half), "student_t"


def _welch(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], confidence: float) -> tuple[float, float, str]:
    from scipy import stats

    if min(len(x), len(y)) < 2:
        return math.nan, math.nan, "none"
    vx, vy = x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)
    if vx + vy <= 0:
        return math.nan, math.nan, "none"
    freedom = (vx + vy) ** 2 / (vx**2 / (len(x) - 1) + vy**2 / (len(y) - 1))
    half = stats.t.ppf((1 + confidence) / 2, freedom) * math.sqrt(vx + vy)
    centre = float(x.mean() - y.mean())
    return float(centre - half), float(centre + half), "welch_t"
