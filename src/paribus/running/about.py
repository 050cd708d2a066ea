"""What kind of data a node of the ``data`` group makes, known without loading them wherever that is declared."""

from __future__ import annotations

import typing
from typing import Any

from paribus.config.foreign import Foreign
from paribus.running.caches import load_data
from paribus.spec import DataSpec


def data_subject(node: Any) -> str | None:
    """Return the subject of a data set: ``images``, ``tables``, ...; None where there is none, or nobody says.

    A :class:`~paribus.spec.DataSpec` declares it. Of a function from outside it is the subject of what it says that it
    returns, else of what it does return, for which the data are loaded.

    Raises:
        DataError: If they have to be loaded and cannot be.
    """
    if isinstance(node, Foreign):
        return _declared(_returned(node)) or _declared(type(load_data(node)))
    return node.subject if isinstance(node, DataSpec) else None


def _returned(node: Foreign) -> Any:
    if isinstance(node.function, type):
        return node.function
    try:
        return typing.get_type_hints(node.function).get("return")
    except Exception:  # a name in the annotations is imported for type checkers only
        return None


def _declared(kind: Any) -> str | None:
    """Return the subject that a class declares; any class may be a model of one's own, so that most declare none."""
    found = getattr(kind, "subject", None) if isinstance(kind, type) else None
    return found if isinstance(found, str) else None
