"""Differences between two runs or two groups of runs, settings and results separate from code and machine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paribus.config.science import apart
from paribus.results.difference import numbers
from paribus.results.nested import ABSENT, Change, changes, equal
from paribus.tracking.changes import MACHINE

if TYPE_CHECKING:
    from paribus.results.schema import Result

SECTIONS = ("science", "results", "code", "machine")
INPUTS = ("data_name", "data_digest", "model_class", "model_digest", "model_run")
OF_THE_CODE = ("commit", "branch", "dirty")


@dataclass(frozen=True)
class Values:
    """The values of a group of runs at one key.

    Attributes:
        values: Each value once, in the order of the runs.
        mean: Mean of the numbers of a result over the runs; NaN elsewhere.
        n: Runs that have one.
    """

    values: tuple[Any, ...]
    mean: float = math.nan
    n: int = 0

    def __str__(self) -> str:
        """Return them as one text."""
        if not math.isnan(self.mean):
            return f"mean {self.mean:.6g} of {self.n}"
        listed = ", ".join(map(str, self.values[:5]))
        return f"{{{listed}{', ...' if len(self.values) > 5 else ''}}}"


def facts(result: Result) -> dict[str, dict[str, Any]]:
    """Return the settings, results and provenance of a run by section, as plain values."""
    science, other = apart(result.config)
    origin = result.provenance
    repositories = {
        key: {name: origin[key].get(name) for name in OF_THE_CODE} for key in ("git", "paribus_git") if origin.get(key)
    }
    return {
        "science": {
            "experiment_type": result.experiment_type,
            **science,
            "inputs": {name: origin[name] for name in INPUTS if name in origin},
        },
        "results": {**numbers(result), "success": result.success},
        "code": {
            **repositories, "paribus": origin.get("paribus"), "code": origin.get("code") or {},
            "packages": origin.get("packages") or {},
        },
        "machine": {
            **{name: origin[name] for name in MACHINE if name in origin}, **other,
            "started_at": result.started_at, "duration_seconds": result.duration_seconds,
        },
    }  # fmt: skip


def diff(before: Sequence[Result], after: Sequence[Result]) -> dict[str, list[Change]]:
    """Return by section the differences between two runs, or two groups of runs.

    For groups the sets of values at each key are compared, and for results the means over runs. When something was
    run, and for how long, is compared between single runs only.
    """
    first, second = [facts(one) for one in before], [facts(one) for one in after]
    alone = len(first) == len(second) == 1
    found = {}
    for section in SECTIONS:
        if alone:
            found[section] = list(changes(first[0][section], second[0][section]))
        else:
            groups = ([flat(one[section]) for one in side] for side in (first, second))
            found[section] = list(_between(*groups, means=section == "results"))
    return found


def _between(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]], *, means: bool
) -> Iterator[Change]:
    for place in dict.fromkeys(place for one in (*first, *second) for place in one):
        if place in ("started_at", "duration_seconds"):
            continue
        sides = [[one[place] for one in side if place in one] for side in (first, second)]
        a, b = (_distinct(side) for side in sides)
        if len(a) == len(b) and all(any(equal(x, y) for y in b) for x in a) and not (means and len(a) > 1):
            continue
        if means and all(isinstance(value, float) for side in sides for value in side):
            shown: list[Any] = [_mean(side) for side in sides]
        else:
            shown = [(side[0] if len(side) == 1 else Values(side)) if side else ABSENT for side in (a, b)]
        yield Change(place, *shown)


def _mean(side: Sequence[float]) -> Any:
    kept = [value for value in side if math.isfinite(value)]
    return Values(tuple(side), sum(kept) / len(kept), len(kept)) if kept else ABSENT


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for value in values:
        if not any(equal(value, known) for known in found):
            found.append(value)
    return tuple(found)


def flat(node: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Return the leaves of a nested value by dotted key.

    Example:
        >>> flat({"a": {"b": 1}, "c": [2]})
        {'a.b': 1, 'c': [2]}
    """
    found: dict[str, Any] = {}
    for key, value in node.items():
        name = f"{place}.{key}" if place else str(key)
        found |= flat(value, name) if isinstance(value, Mapping) and value else {name: value}
    return found
