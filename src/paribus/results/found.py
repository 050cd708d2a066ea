"""The findings of a result in a few lines of plain text, for a terminal, the note of a run, and a notebook."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

SUMMARY = "summary"
"""Name of the aggregate in which an experiment says in sentences what it found."""
MOST = 12
_ENDS = (("_low", "_high"), ("_ci_low", "_ci_high"), ("_ci_adj_low", "_ci_adj_high"))


class _Aggregates(Protocol):
    @property
    def custom(self) -> Mapping[str, Any]: ...


class Found(Protocol):
    """What has headline metrics and aggregates: a result."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Headline metrics."""

    @property
    def aggregates(self) -> _Aggregates:
        """Aggregates, with an experiment's own under ``custom``."""


def sentences(result: Found) -> list[str]:
    """Return in which sentences an experiment says what it found; none where it says nothing."""
    said = result.aggregates.custom.get(SUMMARY) or ()
    return [said] if isinstance(said, str) else [str(sentence) for sentence in said]


def lines(result: Found) -> list[str]:
    """Return what a result found: its own sentences, else its headline numbers, with intervals where it has them.

    Example:
        >>> from paribus.results import Aggregates, Diagnostics, Evidence
        >>> from paribus.results.schema import Result
        >>> head = ("abc", "noise", Evidence.INTERVENTIONAL, None, "mlp", "images")
        >>> lines(Result(*head, Aggregates(mean_delta=0.4), {}, Diagnostics()))
        []
    """
    return sentences(result) or shortened(numbers({**result.metrics, **result.aggregates.custom}))


def shortened(found: list[str], most: int = MOST) -> list[str]:
    """Return at most so many numbers, those with an interval first, and how many more there are.

    >>> shortened(["a = 1", "b = 2 [1, 3]", "c = 3"], most=2)
    ['b = 2 [1, 3]', 'a = 1', '(1 more)']
    """
    if len(found) <= most:
        return found
    ranked = sorted(found, key=lambda line: not line.endswith("]"))
    return [*ranked[:most], f"({len(found) - most} more)"]


def numbers(values: Mapping[str, Any]) -> list[str]:
    """Return ``name = value [low, high]`` for every number; the bounds are not listed by themselves.

    >>> numbers({"shift": 0.25, "shift_ci_low": 0.1, "shift_ci_high": 0.4, "model": "mlp"})
    ['shift = 0.25 [0.1, 0.4]']
    """
    bounds = {f"{name}{end}" for name in values for ends in _ENDS for end in ends}
    shown = []
    for name, value in values.items():
        if name in bounds or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        text = f"{name} = {_number(value)}"
        for low, high in _ENDS:
            if f"{name}{low}" in values and f"{name}{high}" in values:
                text += f" {_interval(values, name, low, high)}"
                break
        shown.append(text)
    return shown


def _interval(values: Mapping[str, Any], name: str, low: str, high: str) -> str:
    """Return ``[low, high]``, or why there is none where that is said."""
    ends = [values[f"{name}{end}"] for end in (low, high)]
    method = values.get(f"{name}{low.removesuffix('low')}method")
    if isinstance(method, str) and method.startswith("none: "):
        return f"(no interval: {method.removeprefix('none: ')})"
    return f"[{_number(ends[0])}, {_number(ends[1])}]"


def _number(value: Any) -> str:
    if not isinstance(value, int | float) or math.isnan(value):
        return "n/a"
    return f"{value:.4g}"
