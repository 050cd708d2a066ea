"""A claim declared before a run, and the verdict: supported, refuted, or undecided, with the numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paribus.errors import nearest
from paribus.results.endpoint import Endpoint
from paribus.results.estimates import Estimate, estimate_of, is_number
from paribus.results.schema import Result

ABOVE, BELOW, DIFFERS, NONE = "above", "below", "differs", "none"
DIRECTIONS = (ABOVE, BELOW, DIFFERS, NONE)
SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"
CLAIM = "claim"
"""Name of the aggregate that holds a claim and its answer."""
OF_TESTS = ("endpoint", "metric", "label")
"""Columns of a comparison's table ``tests`` that name what is compared."""


@dataclass(frozen=True)
class Claim:
    """What is claimed of one number.

    Attributes:
        endpoint: The number: a declared endpoint of the experiment, or a headline metric; of a comparison an endpoint
            that it compares, with ``@group`` after it where it compares several groups.
        direction: ``above`` (the effect is larger than ``smallest``), ``below`` (smaller than minus that), ``differs``
            (either), or ``none`` (it lies within).
        smallest: The smallest effect of interest, not negative, in the unit of the number.
        alpha: Level; the interval that answers has the confidence 1 - alpha.

    Example:
        >>> Claim("ood_delta", "below", 0.05).sentence
        'ood_delta is below −0.05 (alpha 0.05)'
    """

    endpoint: str
    direction: str = ABOVE
    smallest: float = 0.0
    alpha: float = 0.05

    @property
    def sentence(self) -> str:
        """The claim in words."""
        size = f"{self.smallest:g}"
        said = {
            ABOVE: f"is above {size}",
            BELOW: f"is below −{size}" if self.smallest else "is below 0",
            DIFFERS: f"differs from 0 by more than {size}" if self.smallest else "differs from 0",
            NONE: f"lies within ±{size}",
        }[self.direction]
        return f"{self.endpoint} {said} (alpha {self.alpha:g})"


@dataclass(frozen=True)
class Answer:
    """The verdict of a result on a claim.

    Attributes:
        verdict: ``supported``, ``refuted`` or ``undecided``.
        value: The number; NaN where it is not there.
        low: Lower end of its interval.
        high: Upper end.
        why: The reason in words.
    """

    verdict: str
    value: float
    low: float
    high: float
    why: str


def answer(claim: Claim, result: Result, declared: Sequence[Endpoint] = ()) -> Answer:
    """Return the verdict of a result on a claim.

    The interval decides. Above: supported where all of it lies above the smallest effect of interest, refuted where all
    of it lies below. Below: likewise on the other side. Differs: supported where it lies beyond on one side, refuted
    where it lies within. None: the reverse. Everything else is undecided.

    Args:
        claim: What is claimed.
        result: What was found.
        declared: The endpoints that its experiment declares.

    Example:
        >>> from paribus.results import Aggregates, Diagnostics, Evidence
        >>> head = ("abc", "noise", Evidence.INTERVENTIONAL, None, "mlp", "images", Aggregates(), {}, Diagnostics())
        >>> metrics = {"shift": -0.2, "shift_ci_low": -0.3, "shift_ci_high": -0.12}
        >>> answer(Claim("shift", "below", 0.1), Result(*head, metrics=metrics)).verdict
        'supported'
    """
    found = _number(claim, result, declared)
    if isinstance(found, str):
        return Answer(UNDECIDED, math.nan, math.nan, math.nan, found)
    if not found.has_interval:
        why = f"{found.value:.4g} has no interval here that a claim can rest on".replace("-", "−")
        return Answer(UNDECIDED, found.value, math.nan, math.nan, why)
    verdict = decide(claim, found.low, found.high)
    why = f"{found.value:.4g} [{found.low:.4g}, {found.high:.4g}]".replace("-", "−")
    return Answer(verdict, found.value, found.low, found.high, why)


def decide(claim: Claim, low: float, high: float) -> str:
    """Return the verdict of an interval.

    >>> decide(Claim("x", "none", 0.1), -0.05, 0.08), decide(Claim("x", "above", 0.1), 0.05, 0.3)
    ('supported', 'undecided')
    """
    size = claim.smallest
    above, below = low > size, high < -size
    inside = low > -size and high < size
    if claim.direction == ABOVE:
        yes, no = above, high < size or (size == 0 and high <= 0)
    elif claim.direction == BELOW:
        yes, no = below, low > -size or (size == 0 and low >= 0)
    elif claim.direction == DIFFERS:
        yes, no = above or below, inside
    else:
        yes, no = inside, above or below
    return SUPPORTED if yes else REFUTED if no else UNDECIDED


def _number(claim: Claim, result: Result, declared: Sequence[Endpoint]) -> Estimate | str:
    """Return the number a claim is about, with its interval, or why it is not there."""
    custom = result.aggregates.custom
    known = {name: float(value) for name, value in {**custom, **result.metrics}.items() if is_number(value)}
    if claim.endpoint in known:
        return estimate_of(claim.endpoint, known)
    by_name = {each.name: each for each in declared}
    if claim.endpoint in by_name:
        return _of_endpoint(by_name[claim.endpoint], result)
    if "tests" in result.tables:
        return _of_tests(claim.endpoint, result)
    return f"there is no number {claim.endpoint!r} here; {nearest(claim.endpoint, [*by_name, *known])}"


def _of_endpoint(endpoint: Endpoint, result: Result) -> Estimate | str:
    if endpoint.table not in result.tables:
        return f"its table {endpoint.table!r} is not there"
    custom = result.aggregates.custom
    wanted = {**endpoint.rows, **{name: str(custom.get(f"headline_{name}", "")) for name in endpoint.choices}}
    frame = result.tables[endpoint.table].frame
    if endpoint.epoch in frame.columns and len(frame):
        at = custom.get("headline_epoch", frame[endpoint.epoch].max())
        frame = frame[frame[endpoint.epoch] == at]
    rows = [row for row in frame.to_dict("records") if all(not v or str(row.get(c)) == v for c, v in wanted.items())]
    if len(rows) != 1:
        return f"{len(rows)} rows of its table {endpoint.table!r} fit, not one"
    return _estimate(endpoint.name, rows[0], endpoint.value, endpoint.low, endpoint.high, one_minus=endpoint.one_minus)


def _of_tests(name: str, result: Result) -> Estimate | str:
    """Return the difference that a comparison tested, with the interval at the level at which it was judged.

    Where that is not given, too few runs were compared for anything to rest on the row's own interval.
    """
    wanted, _, group = name.partition("@")
    rows = [
        row
        for row in result.tables["tests"].frame.to_dict("records")
        if wanted in {str(row.get(column)) for column in OF_TESTS}
        and (not group or group in {str(row.get(column)) for column in ("group", "training", "arm", "factor")})
    ]
    if len(rows) != 1:
        return f"{len(rows)} rows of the table 'tests' are about {name!r}, not one (name the group: ENDPOINT@GROUP)"
    return _estimate(name, rows[0], "difference", "ci_adj_low", "ci_adj_high")


def _estimate(
    name: str, row: Mapping[Any, Any], value: str, low: str, high: str, *, one_minus: bool = False
) -> Estimate | str:
    if not is_number(row.get(value)):
        return f"{value} is not known there"
    ends = [float(row[end]) if end and is_number(row.get(end)) else math.nan for end in (low, high)]
    at = float(row[value])
    if one_minus:
        at, ends = 1 - at, [1 - end for end in reversed(ends)]
    return Estimate(name, name, at, ends[0], ends[1])
