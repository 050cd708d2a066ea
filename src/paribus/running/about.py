"""The subject of a node of the ``data`` group, determined without loading the data where it is declared."""

from __future__ import annotations

import typing
from typing import Any

from paribus.config.foreign import Foreign
from paribus.running.caches import load_data
from paribus.spec import DataSpec


def data_subject(node: Any) -> str | None:
    """Return the subject of a data set: ``images``, ``tables``, ...; None where there is none, or it is not declared.

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
    """Return the subject that a class declares; None for classes that declare none, such as most user classes."""
    found = getattr(kind, "subject", None) if isinstance(kind, type) else None
    return found if isinstance(found, str) else None
