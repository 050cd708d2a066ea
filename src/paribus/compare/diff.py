"""Differences between two runs or two groups of runs, settings and results separate from code and machine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paribus.config.science import apart
from paribus.results.difference import numbers
from paribus.results.nested import ABSENT, Change, alike, changes, flat
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
        n: Runs that have one; of a mean, those whose number is finite.
        mean: Mean of the numbers of a result over these runs; NaN elsewhere.
    """

    values: tuple[Any, ...]
    n: int
    mean: float = math.nan

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

    Numbers are compared by value, as in the identity of a run: a setting of 1 is that of 1.0. For groups the sets of
    values at each key are compared, and for results the means over runs. When something was run, and for how long, is
    compared between single runs only.
    """
    first, second = [facts(one) for one in before], [facts(one) for one in after]
    alone = len(first) == len(second) == 1
    found = {}
    for section in SECTIONS:
        if alone:
            found[section] = list(changes(first[0][section], second[0][section], same=alike))
        else:
            groups = ([dict(flat(one[section])) for one in side] for side in (first, second))
            found[section] = list(_between(*groups, means=section == "results"))
    return found


def _between(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]], *, means: bool
) -> Iterator[Change]:
    for place in dict.fromkeys(place for one in (*first, *second) for place in one):
        if place in ("started_at", "duration_seconds"):
            continue
        sides = [[one[place] for one in side if place in one] for side in (first, second)]
        numeric = means and all(isinstance(value, float) for side in sides for value in side)
        values = [_values(side, numeric) for side in sides]
        if numeric and not any(math.isnan(each.mean) for each in values):
            differ = values[0].mean != values[1].mean
        else:
            a, b = (each.values for each in values)
            differ = len(a) != len(b) or not all(any(alike(x, y) for y in b) for x in a)
        if differ:
            yield Change(place, *(_shown(each) for each in values))


def _values(side: Sequence[Any], numeric: bool) -> Values:
    """Return the values of a side; with their mean where they are numbers of a result and any is finite."""
    kept = [value for value in side if math.isfinite(value)] if numeric else []
    if kept:
        return Values(_distinct(side), len(kept), math.fsum(kept) / len(kept))
    return Values(_distinct(side), len(side))


def _shown(side: Values) -> Any:
    """Return what a change shows of a side: a single value as it is, unless it is a mean."""
    if not side.n:
        return ABSENT
    return side if not math.isnan(side.mean) or len(side.values) > 1 else side.values[0]


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for value in values:
        if not any(alike(value, known) for known in found):
            found.append(value)
    return tuple(found)
