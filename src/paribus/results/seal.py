"""The seal of ``result.json``: its last entry is the hash of all that comes before, so that a change is noticed."""

from __future__ import annotations

import hashlib
import re

from paribus.errors import DataError
from paribus.results.files import RESULT_FILE

_SEAL = re.compile(r',\n "digest": "([0-9a-f]{64})"\n}\s*\Z')


def sealed(text: str) -> str:
    r"""Return the JSON text of an object, indented by one space, with its seal (SHA-256) as the last entry.

    Example:
        >>> len(sealed('{\n "a": 1\n}'))
        90
    """
    body = text.removesuffix("\n}")
    return f'{body},\n "digest": "{_hash(body)}"\n}}'


def refuse_changed(text: str) -> None:
    """Refuse the JSON of a result that was changed after it was written.

    Raises:
        DataError: If it was.

    Example:
        >>> refuse_changed("{}")
    """
    seal = _SEAL.search(text, max(0, len(text) - 200))
    if seal is not None and seal[1] != _hash(text[: seal.start()]):
        raise DataError(f"{RESULT_FILE}: was changed after it was written")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
