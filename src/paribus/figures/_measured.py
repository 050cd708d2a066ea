"""Caching the measurements of ticks and texts while a figure is laid out and drawn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

from paribus.figures._texts import remembering

_TICKS, _LAYOUT = "_update_ticks", "_get_layout"
"""Methods of matplotlib's axes and texts whose answers are kept; a version without them measures as it always does."""


@contextlib.contextmanager
def measured_once(fig: Figure) -> Iterator[None]:
    """Cache the measurements of ticks and texts of a figure as long as nothing they depend on changes.

    Inside, fonts, scales and formatters of the figure stay as they are; panels may move, views and texts may change.
    Laying out and drawing then take about a third less, and every pixel is the same.
    """
    kept = _Kept(fig)
    for axes in fig.axes:
        for axis in (axes.xaxis, axes.yaxis):
            kept.ticks(axis, "width" if axis is axes.xaxis else "height")
    for text in fig.findobj(Text, include_self=False):
        kept.text(text)
    if hasattr(fig.canvas, "get_renderer"):
        kept.renderer(fig.canvas.get_renderer())
    try:
        yield
    finally:
        kept.forget()


class _Kept:
    """Methods of single objects, replaced by ones that cache their last result."""

    def __init__(self, fig: Figure) -> None:
        self._fig = fig
        self._replaced: list[tuple[Any, str]] = []
        self._asked: dict[int, Hashable] = {}

    def keep(
        self, owner: Any, name: str, state: Callable[[Any], Hashable], told: Callable[[Any], None] = lambda _: None
    ) -> None:
        """Cache the result of a method while the state that determines it is the same.

        Args:
            owner: The object.
            name: The method.
            state: Returns that state.
            told: Is called with every new result.
        """
        own = vars(owner)
        if name in own or not hasattr(owner, name):
            return
        ask = getattr(owner, name)
        before: Any = None
        answer: Any = None

        def asked(*given: Any) -> Any:
            nonlocal before, answer
            if before is None or state(owner) != before:
                answer = ask(*given)
                told(answer)
                before = state(owner)
            return answer

        own[name] = asked
        self._replaced.append((owner, name))

    def text(self, text: Any) -> None:
        """Keep the layout of a text; one that is broken into lines depends on where it stands."""
        if not text.get_wrap():
            self.keep(text, _LAYOUT, self._state_of_text)

    def ticks(self, axis: Axis, length: str) -> None:
        """Keep the ticks of an axis, and the layouts of their labels, which are made when they are needed first.

        Axes that share their scale share a formatter too, which knows the ticks that it was asked for last: those of
        another axis must be the same, or ours are asked for again.

        Args:
            axis: The axis.
            length: What of its panel is its length: the width or the height.
        """

        def own() -> Hashable:
            return (*axis.get_view_interval(), getattr(axis.axes.bbox, length), self._fig.dpi)

        def state(_: Any) -> Hashable:
            found = own()
            return found, self._asked.get(id(axis.major)) == found

        def told(ticks: Any) -> None:
            self._asked[id(axis.major)] = own()
            for tick in ticks:
                self.text(tick.label1)

        self.keep(axis, _TICKS, state, told)

    def renderer(self, renderer: Any) -> None:
        """Keep how a renderer lays texts out."""
        for name, method in remembering(renderer).items():
            vars(renderer)[name] = method
            self._replaced.append((renderer, name))

    def forget(self) -> None:
        """Restore the objects' own methods."""
        for owner, name in self._replaced:
            vars(owner).pop(name, None)

    def _state_of_text(self, text: Text) -> Hashable:
        return (
            text.get_text(),
            text.get_horizontalalignment(),
            text.get_verticalalignment(),
            text.get_rotation(),
            self._fig.dpi,
        )
