"""Data that a trained model is measured on and was not trained on: what they are called, and what is to be said."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from paribus.config.check import build
from paribus.config.foreign import Foreign
from paribus.errors import DataError, ParibusError
from paribus.running.caches import load_data
from paribus.running.contents import fingerprint

if TYPE_CHECKING:
    from paribus.running.request import Request
    from paribus.running.resolved import Resolved
    from paribus.running.source import ModelSource

MOST_NAMED = 4


def named(request: Request, source: ModelSource) -> str | None:
    """Return what the data of a request are called where they are not those that its model was trained on."""
    node = request.nodes.get("data")
    if "data" not in request.experiment.needs or node is None or source.data is None or node == source.data:
        return None
    try:
        if fingerprint(node) == fingerprint(source.data):
            return None  # the same files in another place
    except DataError:
        pass  # a file is not there any more: what it held is compared when the data are loaded
    changed = changes(node, source.data)
    if changed is None:
        return label(node, request.choices.get("data"))
    shown = [f"{name}={value}" for name, value in list(changed.items())[:MOST_NAMED]]
    return f"own data with {' '.join(shown)}" if shown else label(node, request.choices.get("data"))


def changes(node: Any, own: Any) -> dict[str, Any] | None:
    """Return the values in which data of the same kind differ from ``own``; None where they are of another kind."""
    if isinstance(node, Foreign) or isinstance(own, Foreign):
        if getattr(node, "target", None) != getattr(own, "target", ""):
            return None
        before: Mapping[str, Any] = own.arguments
        now: Mapping[str, Any] = node.arguments
    elif type(node) is not type(own):
        return None
    else:
        before, now = ({f.name: getattr(each, f.name) for f in dataclasses.fields(each)} for each in (own, node))
    return {name: value for name, value in now.items() if value != before.get(name)}


def label(node: Any, option: str | None = None) -> str:
    """Return what a data set is called: the chosen option, or what makes it."""
    return option or (node.target if isinstance(node, Foreign) else type(node).__name__)


def sentence(resolved: Resolved) -> str:
    """Return the warning that a result measured on other data carries."""
    source = resolved.source
    assert source is not None
    own = label(source.data, source.options.get("data"))
    return f"Measured on {resolved.other}; the model of {source.label} was trained on {own}."


def trained_on(source: ModelSource) -> tuple[list[Any], list[str]]:
    """Load all data that a model was fitted to; return them, and a sentence for each that cannot be loaded any more."""
    loaded, notes = [], []
    for node in source.trained_on:
        try:
            loaded.append(load_data(build(node, "data")))
        except ParibusError as error:
            notes.append(
                f"What the model of {source.label} was trained on cannot be loaded any more, so nothing is known of "
                f"what it shares with what is measured ({error})."
            )
    return loaded, notes


def refuse_changed(resolved: Resolved, digest: str | None) -> None:
    """Check that the data a model brings are still those that it was trained on.

    Raises:
        DataError: If they are not: a file was replaced, or what makes them gives others.
    """
    source = resolved.source
    if source is None or source.data_digest is None or digest is None or resolved.other is not None:
        return
    if digest != source.data_digest and "data" in resolved.request.experiment.needs:
        raise DataError(
            f"data: what the model of {source.label} was trained on ({label(source.data, source.options.get('data'))}) "
            "is not what is loaded now: its files or the code that makes it have changed; restore them, train again, "
            "or name data=NAME to measure on what is there"
        )
