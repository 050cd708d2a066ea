"""Differences between two nested values: by place, typed, without equal values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


class Absent:
    """Marks a place where one of two values has nothing."""

    def __repr__(self) -> str:
        """Return how it is shown."""
        return "(not there)"


ABSENT = Absent()


@dataclass(frozen=True)
class Change:
    """One place where two values differ.

    Attributes:
        place: Where, dotted.
        before: The first value; :data:`ABSENT` where it has none.
        after: The second.
    """

    place: str
    before: Any
    after: Any

    def __str__(self) -> str:
        """Return it in a line; the types are named where the values read alike."""
        before, after = shown(self.before), shown(self.after)
        kinds = [_KINDS.get(type(value)) for value in (self.before, self.after)]
        if kinds[0] != kinds[1] and None not in kinds:
            before, after = f"{before} ({kinds[0]})", f"{after} ({kinds[1]})"
        return f"{self.place}: {before} -> {after}"


def equal(before: Any, after: Any) -> bool:
    """Return whether two plain values are the same, type included."""
    if type(before) is not type(after):
        return False
    if isinstance(before, float):
        return before == after or (math.isnan(before) and math.isnan(after))
    return _parts_alike(before, after, equal)


def alike(before: Any, after: Any) -> bool:
    """Return whether two plain values are the same, numbers by value, as in the identity of a run.

    Example:
        >>> alike([1, "x"], [1.0, "x"]), alike(1, True), alike(1, "1")
        (True, False, False)
    """
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in (before, after)):
        return equal(before, after) or bool(before == after)
    return type(before) is type(after) and _parts_alike(before, after, alike)


def _parts_alike(before: Any, after: Any, same: Callable[[Any, Any], bool]) -> bool:
    """Compare two values of one type, lists and mappings part by part."""
    if isinstance(before, list | tuple):
        return len(before) == len(after) and all(same(a, b) for a, b in zip(before, after, strict=True))
    if isinstance(before, Mapping):
        return before.keys() == after.keys() and all(same(before[key], after[key]) for key in before)
    return bool(before == after)


def changes(before: Any, after: Any, place: str = "", *, same: Callable[[Any, Any], bool] = equal) -> Iterator[Change]:
    """Yield every place where two nested values differ.

    Args:
        before: The first value.
        after: The second.
        place: Where both are.
        same: Decides it of values that are no mappings: :func:`equal` tells numbers of different type apart,
            :func:`alike` does not. Two NaN are the same.

    Example:
        >>> [str(each) for each in changes({"a": {"b": 1, "c": 2}}, {"a": {"b": 1.0, "c": 2}, "d": "x"})]
        ['a.b: 1 (whole number) -> 1.0 (number)', 'd: (not there) -> x']
        >>> list(changes({"a": 1}, {"a": 1.0}, same=alike))
        []
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            inner = f"{place}.{key}" if place else str(key)
            yield from changes(before.get(key, ABSENT), after.get(key, ABSENT), inner, same=same)
    elif not same(before, after):
        yield Change(place, before, after)


def flat(node: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a nested value with their dotted names; an empty mapping is a leaf.

    Example:
        >>> dict(flat({"a": {"b": 1}, "c": [2], "d": {}}))
        {'a.b': 1, 'c': [2], 'd': {}}
    """
    for key, value in node.items():
        inner = f"{place}.{key}" if place else str(key)
        if isinstance(value, Mapping) and value:
            yield from flat(value, inner)
        else:
            yield inner, value


def shown(value: Any, most: int = 100) -> str:
    """Return a value as one line that is not too long."""
    text = " ".join(str(value).split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


_KINDS: dict[type, str] = {
    bool: "yes or no", int: "whole number", float: "number", str: "text", list: "list", type(None): "nothing"
}  # fmt: skip
"""How plain values are called; what stands for others (what is absent, the values of a group) is called nothing."""
