"""The four ways a request or a run can go wrong; every message says what, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ParibusError(Exception):
    """Base of all errors that are shown to the user as one line."""


class ConfigError(ParibusError):
    """The request itself is wrong: unknown name, wrong type, value out of range (exit code 2)."""


class DataError(ParibusError):
    """A data file, folder or corpus is missing, unreadable or unfit (exit code 2)."""


class CheckpointError(ParibusError):
    """A checkpoint is missing, unsafe, or does not fit the architecture (exit code 2)."""


class ExperimentError(ParibusError):
    """An experiment was started and could not be finished (exit code 1)."""


def nearest(name: str, valid: Iterable[str], *, show: int = 12) -> str:
    """Return a clause naming the valid choices, the ones most like ``name`` first.

    Args:
        name: What was asked for.
        valid: The names that exist.
        show: The most names to list.

    Returns:
        Text such as ``did you mean 'a'? valid: a, b, c`` (no leading or trailing punctuation).
    """
    choices = sorted(set(map(str, valid)))
    if not choices:
        return "there is none to choose from"
    close = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.6)
    listed = ", ".join(choices[:show]) + (f", ... ({len(choices)} in all)" if len(choices) > show else "")
    return (f"did you mean {close[0]!r}? " if close else "") + f"valid: {listed}"
