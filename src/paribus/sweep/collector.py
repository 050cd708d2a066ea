"""Python's garbage collector while the jobs of a sweep run one after the other."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS = 20_000
"""New objects after which those that hold each other are looked for; Python's own number is 700."""


@contextmanager
def seldom() -> Iterator[None]:
    """Let the collector pass over what was imported and composed before, and look thirty times more seldom.

    A drawing alone makes tens of thousands of objects; looking through them all costs a job up to a twentieth of its
    time. Afterwards everything is as it was.

    Example:
        >>> import gc
        >>> before = gc.get_threshold()
        >>> with seldom():
        ...     gc.get_threshold()[0]
        20000
        >>> gc.get_threshold() == before
        True
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(max(OBJECTS, before[0]) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
