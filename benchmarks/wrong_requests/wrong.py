"""What a wrong request is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wrong:
    """A wrong request.

    Attributes:
        words: Its words; ``{files}`` stands for the folder of unfit files.
        parts: What the answer must name.
        multirun: Whether it asks for a sweep.
        may_hold: Whether it may be in order after all: then it is answered with 0 (asked with ``dry_run=true``).
    """

    words: tuple[str, ...]
    parts: tuple[str, ...] = ()
    multirun: bool = False
    may_hold: bool = False


def w(words: str, *parts: str, multirun: bool = False) -> Wrong:
    """Return a wrong request from its words, separated by blanks."""
    return Wrong(tuple(words.split()), parts, multirun)
