"""How results and tables are displayed in a notebook.

Rendering needs figures and pandas, which results do not; the renderer registers itself here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_drawn_by: dict[str, Callable[[Any], str]] = {}


def drawn_by(kind: str, draw: Callable[[Any], str]) -> None:
    """Let things of a class (by its name) be drawn as HTML by ``draw``."""
    _drawn_by[kind] = draw


def html(thing: Any) -> str | None:
    """Return a thing as HTML; None where nothing that draws it is loaded, and a notebook shows its ``repr``."""
    draw = _drawn_by.get(type(thing).__name__)
    return None if draw is None else draw(thing)
