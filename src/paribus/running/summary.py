"""Results as lines for a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from paribus.results.found import lines
from paribus.tracking.spec import without_password

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.tracking.spec import TrackingSpec


def conclusions(result: Result, folder: Path) -> str:
    """Return the findings of a run and the paths of its figures, as printed after a single run or a sweep.

    Args:
        result: A comparison, or any other result: its sentences, or its headline numbers with intervals.
        folder: Its output folder; figures that are not in it (those of a reused run) are not named.
    """
    drawn = [folder / "figures" / f"{figure.name}.png" for figure in result.figures]
    figures = [f"figure: {path}" for path in drawn if path.exists()]
    return "\n".join([f"{result.experiment_type}:", *(f"  {line}" for line in (*lines(result), *figures))])


def ui_line(spec: TrackingSpec) -> str:
    """Return the line with the command that shows the runs; empty if none are kept."""
    if spec.kind == "off":
        return ""
    if spec.kind == "server":
        return f"Look at the runs: {without_password(str(spec.uri))} (MLflow experiment {spec.experiment!r})"
    there = "" if spec.folder == "." else f"  (in {spec.folder})"
    return f"Look at the runs: paribus ui{there}   or plainly: mlflow ui   (MLflow experiment {spec.experiment!r})"
