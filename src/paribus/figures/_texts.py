"""Texts that are laid out once in a process: the figures of a sweep have mostly the same words and numbers on them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from matplotlib import rcParams
from matplotlib.font_manager import FontProperties

T = TypeVar("T")
MOST = 5000
"""Texts that are remembered; after so many, all are forgotten."""
_PREPARE, _MEASURE, _LAYOUT = "_prepare_font", "get_text_width_height_descent", "_layout"
"""Methods of matplotlib's renderer and of its fonts whose answers are remembered, where its version has them."""
_known: dict[Hashable, Any] = {}


def remembering(renderer: Any) -> Mapping[str, Callable[..., Any]]:
    """Return methods of a renderer that remember sizes and layouts of texts, by name; every pixel is the same.

    A font is an object of its own for each choice of files and each thread; what else determines an answer (size,
    resolution, hinting) is stated with it.
    """
    if not all(hasattr(renderer, name) for name in (_PREPARE, _MEASURE)):
        return {}
    prepare, measure = getattr(renderer, _PREPARE), getattr(renderer, _MEASURE)

    def prepared(properties: FontProperties) -> Any:
        font = prepare(properties)
        return _Font(font, state(properties)) if hasattr(font, _LAYOUT) else font

    def measured(text: str, properties: FontProperties, ismath: Any) -> Any:
        if ismath:
            return measure(text, properties, ismath)
        key = (_MEASURE, prepare(properties), state(properties), text)
        return _remembered(key, lambda: measure(text, properties, ismath))

    def state(properties: FontProperties) -> Hashable:
        return properties.get_size_in_points(), renderer.dpi, rcParams["text.hinting"]

    return {_PREPARE: prepared, _MEASURE: measured}


class _Font:
    """A font in one size, which remembers the layouts of texts."""

    def __init__(self, font: Any, state: Hashable) -> None:
        self._font, self._state = font, state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._font, name)

    def _layout(self, text: str, *flags: Any, **how: Any) -> Any:
        key = (_LAYOUT, self._font, self._state, text, repr((flags, how)))
        return _remembered(key, lambda: tuple(self._font._layout(text, *flags, **how)))


def _remembered(key: Hashable, ask: Callable[[], T]) -> T:
    answer: T | None = _known.get(key)
    if answer is None:
        answer = ask()
        if len(_known) >= MOST:
            _known.clear()
        _known[key] = answer
    return answer
