"""Effects of many places as a map: layer x head, head x position, layer x position."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from paribus.experiments.any._figures import around, outlined
from paribus.experiments.base import Recorder
from paribus.measure.place import Place
from paribus.results.schema import INTERVAL, Figure

AXES = ("layer", "site", "head", "pos")
"""Columns that say where a row is, from what is drawn upwards to what is drawn to the right."""

ALL = "all"
MADE = "Outlined: established (the p adjusted over the table, and the interval of all rows together)."
WHERE = {"layer": "number of the layer", "head": "heads of the site", "pos": "positions of the site"}
"""What the columns mean that are there only where places name heads or positions."""


def parts_of(places: Sequence[Place]) -> list[dict[str, str]]:
    """Return the heads and the positions of places as columns, each only where some place names any.

    Example:
        >>> parts_of([Place.parse("0.out.input[head=2, pos=-1]"), Place.parse("0.out.input[head=3]")])
        [{'head': '2', 'pos': '-1'}, {'head': '3', 'pos': 'all'}]
    """
    columns = {
        "head": [_said(one.heads) for one in places],
        "pos": [positions_of(one) for one in places],
    }
    shown = {name: parts for name, parts in columns.items() if any(one != ALL for one in parts)}
    return [{name: parts[row] for name, parts in shown.items()} for row in range(len(places))]


def positions_of(place: Place) -> str:
    """Return the positions of a place as text; ``all`` where it names none."""
    return _said(place.positions) if place.named is None else f"@{place.named}"


def _said(numbers: tuple[int, ...] | None) -> str:
    return ALL if numbers is None else "+".join(map(str, numbers))


def axes_of(frame: pd.DataFrame) -> tuple[str, str] | None:
    """Return the columns that a map of a table has upwards and to the right; None where it would be no map.

    Where site, head and position all differ, sites are drawn upwards and the part of them to the right.

    Example:
        >>> axes_of(pd.DataFrame({"site": ["a", "a", "b"], "head": ["0", "1", "0"]}))
        ('site', 'head')
    """
    several = [name for name in AXES if name in frame and frame[name].nunique() > 1]
    if len(several) == 2:
        return several[0], several[1]
    if "part" in frame and frame["site"].nunique() > 1 and frame["part"].nunique() > 1:
        return "site", "part"
    return None


def map_or_forest(
    recorder: Recorder, name: str, title: str, frame: pd.DataFrame, kind: str, *, panel: str, table: str, made: str
) -> None:
    """Hand over a map of effects, as :func:`draw_map`; where it would be none a forest plot, named as the table."""
    if draw_map(recorder, name, title, frame, kind, panel, table, made):
        return
    panels = {"panel": panel} if panel else {}
    drawn = Figure.of("forest", table, name=table, label="level", value="mean_delta", **INTERVAL, **panels)
    looks = {"xlabel": f"change of {kind}", "reference": 0, "max_rows": 30}
    recorder.figure(drawn.titled(title, around(frame), **looks))


def draw_map(
    recorder: Recorder,
    name: str,
    title: str,
    frame: pd.DataFrame,
    kind: str,
    panel: str = "",
    table: str = "effects",
    made: str = MADE,
) -> bool:
    """Hand over a map of effects, where there are two axes; what is established is outlined. Return whether it is one.

    Args:
        recorder: Gets it.
        name: Name of the figure.
        title: Its title.
        frame: The table, as it was handed over.
        kind: What was read.
        panel: A column whose values have a panel each.
        table: Name of the table.
        made: What is outlined, in words.
    """
    axes, several = axes_of(frame), "checkpoint" in frame
    if several and panel and frame[panel].nunique() == 1:
        panel = ""
    if axes is None or (several and panel):  # a cell is one row, never a mean over checkpoints
        return False
    panel = "checkpoint" if several else panel
    up, right = axes
    flagged, caption = outlined(frame, made)
    cells = {"x": right, "y": up, "value": "mean_delta", **flagged}
    look = {
        "diverging": True, "value_label": f"change of {kind}", "xlabel": right, "ylabel": up,
        "x_order": _ordered(frame[right]), "y_order": _ordered(frame[up]),
    }  # fmt: skip
    drawn = Figure.of("heatmap", table, name=name, **cells, **({"panel": panel} if panel else {}))
    recorder.figure(drawn.titled(title, caption, **look))
    return True


def _ordered(values: pd.Series) -> list[str]:
    """Return the distinct values, numbers by size (positions from the end after those from the start)."""
    found = list(dict.fromkeys(values.dropna().astype(str)))
    if all(one.lstrip("-").isdigit() for one in found):
        return sorted(found, key=lambda one: (one.startswith("-"), int(one)))
    return found
