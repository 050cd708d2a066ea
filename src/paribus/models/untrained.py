"""Whether the weights of a model or its autoencoder would be drawn at random."""

from __future__ import annotations

from typing import Any

UNTRAINED = "untrained"
"""Field by which a request says that random weights are meant."""


def random_parts(node: Any, *, sae: bool = True) -> tuple[str, ...]:
    """Return the dotted places of a model spec whose weights are drawn at random, asked for or not.

    A spec with a field ``untrained`` has random weights where its ``weights`` (an autoencoder's ``path``) name no file;
    a spec without one has weights of its own. Modules that are left out of a file are random too.

    Args:
        node: Spec of the ``model`` group.
        sae: Whether its autoencoder counts.
    """
    parts = {"model": node, "model.sae": getattr(node, "sae", None) if sae else None}
    return tuple(name for name, part in parts.items() if _is_random(part))


def unasked(node: Any, *, sae: bool = True) -> tuple[str, ...]:
    """Return those of :func:`random_parts` that were not requested; ``untrained`` on the model covers all parts."""
    if getattr(node, UNTRAINED, False):
        return ()
    asked = getattr(getattr(node, "sae", None), UNTRAINED, False)
    return tuple(part for part in random_parts(node, sae=sae) if part == "model" or not asked)


def _is_random(node: Any) -> bool:
    if getattr(node, "leave_out", ()):
        return True  # what is left out of the file is drawn
    return hasattr(node, UNTRAINED) and getattr(node, "weights", None) is None and getattr(node, "path", None) is None
