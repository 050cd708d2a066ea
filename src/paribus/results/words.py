"""Counts with their nouns, for messages and sentences."""

from __future__ import annotations


def counted(n: int, one: str, more: str | None = None) -> str:
    """Return a number with its noun in singular or plural.

    Example:
        >>> counted(1, "run"), counted(2, "run"), counted(2, "class", "classes")
        ('1 run', '2 runs', '2 classes')
    """
    return f"{n} {one if n == 1 else more or f'{one}s'}"
