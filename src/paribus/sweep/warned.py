"""Warnings in a terminal: one that repeats is shown once, with its count at the end; a job's own log has each."""

from __future__ import annotations

import logging
from collections import Counter


class ShownOnce(logging.Filter):
    """Lets a warning pass the first time, whatever run it is about, and counts it."""

    def __init__(self) -> None:
        """Start with none."""
        super().__init__()
        self.counts: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is shown."""
        if record.levelno != logging.WARNING:
            return True
        text = said(record)
        self.counts[text] += 1
        return self.counts[text] == 1

    def summary(self) -> list[str]:
        """Return a line for each warning that was said more than once, and forget all."""
        lines = [f"said {number} times: {text}" for text, number in self.counts.items() if number > 1]
        self.counts.clear()
        return lines


ONCE = ShownOnce()


def show_once() -> None:
    """Let the handlers that write to a terminal show a repeated warning once."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.addFilter(ONCE)  # the same filter is added once


def said(record: logging.LogRecord) -> str:
    """Return what a record says without the run that it is about.

    Example:
        >>> said(logging.LogRecord("paribus", logging.WARNING, "", 0, "%s: %s", ("run a", "few clusters"), None))
        'few clusters'
    """
    if record.msg == "%s: %s" and isinstance(record.args, tuple) and len(record.args) == 2:
        return str(record.args[1])
    return record.getMessage()
