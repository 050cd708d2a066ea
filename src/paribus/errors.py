"""The four ways a request or a run can go wrong; every message says what, where, and what would be right."""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Iterable
from pathlib import Path

FULL_ERROR = "PARIBUS_FULL_ERROR"
"""Environment variable: where it is set, an unexpected error is shown with its traceback, not as one line."""
_LONG_WORD = re.compile(r"\S{400,}")


class ParibusError(Exception):
    """Base of all errors that are shown to the user as one line.

    Attributes:
        run_id: The tracked run that failed, where there is one.
        finished: Whether that run was finished all the same: the error came too late to stop it.

    Example:
        >>> issubclass(ConfigError, ParibusError)
        True
    """

    run_id: str | None = None
    finished: bool = False


class ConfigError(ParibusError):
    """The request itself is wrong: unknown name, wrong type, value out of range (exit code 2).

    Example:
        >>> try:
        ...     raise ConfigError("data.n_train: -1 is below 1")
        ... except ParibusError as error:
        ...     print(error)
        data.n_train: -1 is below 1
    """


class DataError(ParibusError):
    """A data file, folder or corpus is missing, unreadable or unfit (exit code 2).

    Example:
        >>> missing = DataError("data.path: no such folder /data/slides")
        >>> str(missing)
        'data.path: no such folder /data/slides'
    """


class CheckpointError(ParibusError):
    """A checkpoint is missing, unsafe, or does not fit the architecture (exit code 2).

    Example:
        >>> isinstance(CheckpointError("no checkpoint of epoch 7; there are 1, 5, 10"), ParibusError)
        True
    """


class ExperimentError(ParibusError):
    """An experiment was started and could not be finished (exit code 1).

    Example:
        >>> isinstance(ExperimentError("the training diverged at epoch 3"), ParibusError)
        True
    """


class DivergedError(ExperimentError):
    """A number that later steps need is not finite: a loss, for example.

    Example:
        >>> isinstance(DivergedError("the loss became nan in epoch 3"), ExperimentError)
        True
    """


def one_line(text: str) -> str:
    """Return a message on one line; a word in it that no line has room for is shown by its beginning and its end.

    Example:
        >>> one_line("first   second")
        'first second'
        >>> one_line("x" * 5000)[-40:]
        'xxx...(5000 characters)...xxxxxxxxxxxxxx'
    """
    return _LONG_WORD.sub(lambda found: _cut(found[0]), " ".join(text.split()))


def _cut(word: str) -> str:
    return f"{word[:200]}...({len(word)} characters)...{word[-14:]}"


def message_of(error: BaseException) -> str:
    """Return what an error says, on one line of at most 300 characters; its kind where it says nothing.

    Example:
        >>> message_of(ValueError("first   second")), message_of(KeyError())
        ('first second', 'KeyError')
    """
    return " ".join(str(error).split())[:300] or type(error).__name__


def with_kind(error: BaseException) -> str:
    """Return an error on one line with its kind; our own without it, which says nothing to a user.

    Example:
        >>> with_kind(ValueError("no such layer")), with_kind(DataError("no such file"))
        ('ValueError: no such layer', 'no such file')
    """
    text = " ".join(str(error).split())
    if isinstance(error, ParibusError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def said(error: BaseException) -> str:
    """Return what an error of somebody else's code says, in one line, with the place where it was raised.

    Example:
        >>> said(ValueError("no such layer"))
        'ValueError: no such layer'
    """
    lines = str(error).strip().splitlines()
    text = " ".join(" ".join(lines[:3]).split())[:300]
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def size_of(count: float) -> str:
    """Return a number of bytes as a text, in the largest unit of which there is one.

    Example:
        >>> size_of(900), size_of(35 << 20), size_of(5 << 30), size_of(7.45 * 2**30)
        ('900 bytes', '35 MiB', '5 GiB', '7.5 GiB')
    """
    value, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if round(value) < 1024:
            break
        value, unit = value / 1024, larger
    digits = f"{value:.1f}" if unit != "bytes" and value < 10 else f"{value:.0f}"
    return f"{digits.removesuffix('.0')} {unit}"


def nearest(name: str, valid: Iterable[str], *, show: int = 12) -> str:
    """Return a clause naming the valid choices, the ones most like ``name`` first.

    Args:
        name: What was asked for.
        valid: The names that exist.
        show: The most names to list.

    Returns:
        Text such as ``did you mean 'a'? valid: a, b, c`` (no leading or trailing punctuation).

    Example:
        >>> nearest("resnet", ["resnet18", "mlp"])
        "did you mean 'resnet18'? valid: mlp, resnet18"
    """
    choices = sorted(set(map(str, valid)))
    if not choices:
        return "there is none to choose from"
    close = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.6)
    listed = ", ".join(choices[:show]) + (f", ... ({len(choices)} in all)" if len(choices) > show else "")
    return (f"did you mean {close[0]!r}? " if close else "") + f"valid: {listed}"
