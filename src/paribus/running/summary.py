"""What was found, as lines for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.tracking.spec import TrackingSpec

SUMMARY = "summary"
"""Name of the aggregate in which an experiment says in sentences what it found."""
MOST = 12
_ENDS = (("_low", "_high"), ("_ci_low", "_ci_high"))


def lines(result: Result) -> list[str]:
    """Return what a result found: its own sentences, else its headline numbers, with intervals where it has them."""
    said = result.aggregates.custom.get(SUMMARY)
    if isinstance(said, str):
        return [said]
    if isinstance(said, list | tuple) and said:
        return [str(sentence) for sentence in said]
    return numbers({**result.metrics, **result.aggregates.custom})[:MOST]


def conclusions(result: Result, folder: Path) -> str:
    """Return what a comparison concluded and where its figures are, as a sweep and a single run print it.

    Args:
        result: The comparison.
        folder: Its output folder; figures that are not there (those of a reused run) are not named.
    """
    drawn = [folder / "figures" / f"{figure.name}.png" for figure in result.figures]
    figures = [f"figure: {path}" for path in drawn if path.exists()]
    return "\n".join([f"{result.experiment_type}:", *(f"  {line}" for line in (*lines(result), *figures))])


def numbers(values: Mapping[str, Any]) -> list[str]:
    """Return ``name = value [low, high]`` for every number; the bounds are not listed by themselves."""
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


def ui_line(spec: TrackingSpec) -> str:
    """Return the line that says how to look at the runs; empty where none are kept."""
    if spec.kind == "off":
        return ""
    if spec.kind == "server":
        return f"Look at the runs: {spec.uri} (MLflow experiment {spec.experiment!r})"
    there = "" if spec.folder == "." else f"  (in {spec.folder})"
    return f"Look at the runs: paribus ui{there}   or plainly: mlflow ui   (MLflow experiment {spec.experiment!r})"


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
