"""Files of JSON lines: one object a line, in UTF-8."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from paribus.errors import DataError, message_of


def json_objects(file: Path, called: str, hint: str = "") -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    """Yield the number, the place and the object of every line that is not blank.

    Args:
        file: The file.
        called: What it is called.
        hint: What else it may be, where a line is no JSON.

    Raises:
        DataError: If a line is no object, or has a name twice.
    """
    try:
        with file.open(encoding="utf-8-sig") as stream:
            for number, text in enumerate(stream, start=1):
                if text.strip():
                    where = f"{called}, line {number}"
                    yield number, where, _object(text, where, hint)
    except UnicodeDecodeError as error:
        raise DataError(f"{called}: not a readable file of JSON lines in UTF-8 ({error})") from None


def _object(text: str, where: str, hint: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=partial(_once, where))
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{where}: is no JSON ({message_of(error)}){hint}") from None
    if not isinstance(found, dict):
        raise DataError(f"{where}: is no JSON object")
    return found


def _once(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, _ in pairs if [key for key, _ in pairs].count(name) > 1)
        raise DataError(f"{where}: has {twice!r} twice; names must differ")
    return found
