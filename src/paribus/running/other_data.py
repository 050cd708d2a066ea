"""Names and notes for data that a model is measured on but was not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from paribus.config.foreign import Foreign
from paribus.errors import DataError
from paribus.experiments.asked import label
from paribus.running.contents import fingerprint
from paribus.spec import fields_of

if TYPE_CHECKING:
    from paribus.running.request import Request
    from paribus.running.source import ModelSource

MOST_NAMED = 4
AS_THEY_ARE = "its own data as their files are now"
"""What is measured on where files of what the model was trained on have changed, and that is asked for."""


def named(request: Request, source: ModelSource) -> str | None:
    """Return the name of a request's data if its model was not trained on them."""
    node = request.nodes.get("data")
    if "data" not in request.experiment.needs or node is None or source.data is None or node == source.data:
        return None
    try:
        if fingerprint(node) == fingerprint(source.data):
            return None  # the same files in another folder
    except DataError:
        pass  # a file is not there any more: what it held is compared when the data are loaded
    changed = changes(node, source.data)
    if changed is None:
        return label(node, request.choices.get("data"))
    shown = [f"{name}={value}" for name, value in list(changed.items())[:MOST_NAMED]]
    return f"own data with {' '.join(shown)}" if shown else label(node, request.choices.get("data"))


def changes(node: Any, own: Any) -> dict[str, Any] | None:
    """Return the values in which data of the same spec type differ from ``own``; None for another type."""
    if isinstance(node, Foreign) and isinstance(own, Foreign):
        if node.target != own.target:
            return None
        before: Mapping[str, Any] = own.arguments
        now: Mapping[str, Any] = node.arguments
    elif type(node) is not type(own):
        return None
    else:
        before, now = fields_of(own), fields_of(node)
    return {name: value for name, value in now.items() if value != before.get(name)}
