"""Counts with their nouns, for warnings and sentences."""

from __future__ import annotations


def counted(n: int, one: str, more: str | None = None) -> str:
    """Return a number with its noun in singular or plural."""
    return f"{n} {one if n == 1 else more or f'{one}s'}"
