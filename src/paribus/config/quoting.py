"""Quotes overrides that Hydra cannot parse as written: ``where=[n_train=300]``, ``device=cuda:1``."""

from __future__ import annotations

import re
from collections.abc import Iterable

UNREADABLE = frozenset("=<>!")
"""Characters that Hydra 1.3 reads in no element of a list unless the element is quoted."""
_OPENING, _CLOSING = "[{(", "]})"


def readable(words: Iterable[str]) -> list[str]:
    """Return overrides in Hydra's grammar: lists quoted, a numbered CUDA device as an option and a value.

    Overrides that Hydra can read are returned unchanged, so the function is idempotent.

    Example:
        >>> readable(["device=cuda:1", "seed=3"])
        ['device=cuda', 'device.name=cuda:1', 'seed=3']
    """
    out: list[str] = []
    for word in words:
        device = re.fullmatch(r"device=(cuda:\d+)", word)
        out += ["device=cuda", f"device.name={device[1]}"] if device else [quoted(word)]
    return out


def quoted(word: str) -> str:
    """Return an override with the elements of its lists quoted where Hydra could not read them.

    Example:
        >>> quoted("experiment.where=[n_train=300,seed=0..7]")
        'experiment.where=["n_train=300","seed=0..7"]'
        >>> quoted("experiment.alphas=[-1,0,1]")
        'experiment.alphas=[-1,0,1]'
    """
    key, equals, value = word.partition("=")
    if not equals or "[" not in value:
        return word
    return f"{key}={','.join(_list(piece) for piece in _split(value))}"


def _list(text: str) -> str:
    inner = text.strip()
    if not (inner.startswith("[") and inner.endswith("]")):
        return text
    elements = _split(inner[1:-1])
    if not any(_unreadable(each) for each in elements):
        return text
    return f"[{','.join(_quote(each) if _unreadable(each) else each for each in elements)}]"


def _unreadable(element: str) -> bool:
    bare = element.strip()
    return bool(bare) and bare[0] not in "'\"[{" and "${" not in bare and bool(set(bare) & UNREADABLE)


def _quote(element: str) -> str:
    return '"' + element.strip().replace("\\", "\\\\").replace('"', '\\"') + '"'


def _split(text: str) -> list[str]:
    """Return the parts of a text between the commas outside brackets and quotes."""
    parts, depth, start, quote = [], 0, 0, ""
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and text[place - 1] != "\\" else quote
        elif letter in "'\"":
            quote = letter
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]
