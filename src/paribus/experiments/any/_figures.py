"""Figures that several types draw of their table of effects, and what their captions say of it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from paribus.experiments.any._effects import Reported, is_complete
from paribus.results.schema import BANDS, Figure

MADE = "95 % intervals over clusters."
NULL_NAMED = "Hatched: 2.5 to 97.5 % of the null that the table names."


def forest(
    to: Reported,
    frame: pd.DataFrame,
    name: str,
    title: str,
    says: str = NULL_NAMED,
    *,
    table: str = "effects",
    made: str = MADE,
    **others: Any,
) -> None:
    """Declare a forest plot of a table of effects: each row's effect, interval and null.

    Args:
        to: Where it goes.
        frame: The table, as it was handed over.
        name: Name of the figure.
        title: Its title.
        says: What stands below it, of the null.
        table: Name of the table.
        made: What stands below it of intervals, where there are any.
        others: Further roles of columns (``group``), and other options (``xlabel``, ``null_label``).
    """
    group = {"group": others.pop("group")} if "group" in others else by_epoch(frame, "group")
    drawn = Figure.of("forest", table, name=name, label="level", value="mean_delta", **BANDS, **group)
    looks = {"xlabel": f"change of {to.kind}", "reference": 0, "null_label": null_called(frame), "max_rows": 30}
    to.recorder.figure(drawn.titled(title, f"{around(frame, made)} {says}", **looks | others))


def dose_response(
    to: Reported, frame: pd.DataFrame, title: str, says: str = NULL_NAMED, *, table: str = "effects", **others: Any
) -> None:
    """Hand over effects by dose, with their intervals and their null.

    Args:
        to: Where it goes.
        frame: The table, as it was handed over.
        title: Title of the figure.
        says: What stands below it, of the null.
        table: Name of the table.
        others: Name of the figure (``name``), a further role (``group``), other options (``xlabel``, ``null_label``).
    """
    group = {"group": others.pop("group")} if "group" in others else by_epoch(frame, "group")
    named = {"name": others.pop("name")} if "name" in others else {}
    drawn = Figure.of("dose_response", table, x="dose", y="mean_delta", **named, **BANDS, **group)
    looks = {"ylabel": f"change of {to.kind}", "hline": 0, "null_label": null_called(frame)}
    to.recorder.figure(drawn.titled(title, f"{around(frame)} {says}", **looks | others))


def first_together(to: Reported, frame: pd.DataFrame, title: str, *, xlabel: str, null: str, **panel: str) -> None:
    """Hand over the curve of the first K of a ranking together, beside sets of others (the table ``k_sweep``).

    Args:
        to: Where it goes.
        frame: The table, as it was handed over.
        title: Title of the figure.
        xlabel: What K counts.
        null: What the sets of the null are.
        panel: Column whose values have a panel each (``panel=...``).
    """
    drawn = Figure.of(
        "curve", "k_sweep", name="k_sweep", x="k", y="mean_delta", **BANDS, **panel, **by_epoch(frame, "group")
    )
    band = around(frame, "Band: 95 % interval over clusters.")
    says = f"{band} Hatched: 2.5 to 97.5 % of {null}; none where these have too few others."
    looks = {"xlabel": xlabel, "ylabel": f"change of {to.kind}", "hline": 0, "null_label": "matched sets"}
    looks |= {"labels": ["the first K"]}
    to.recorder.figure(drawn.titled(title, says, **looks))


def heatmap(to: Reported, frame: pd.DataFrame, table: str, name: str, title: str, **looks: Any) -> None:
    """Hand over a map of pairs: the second of a pair to the right, the first upwards.

    Args:
        to: Where it goes.
        frame: The table, as it was handed over.
        table: Its name.
        name: Name of the figure.
        title: Its title.
        looks: Options of the figure.
    """
    roles = {"x": "second", "y": "first", "value": "mean_delta", **by_epoch(frame, "panel")}
    drawn = Figure.of("heatmap", table, name=name, **roles)
    says = around(frame, "Intervals and tests are in the table.")
    to.recorder.figure(drawn.titled(title, says, diverging=True, **looks))


def by_epoch(frame: pd.DataFrame, role: str) -> dict[str, str]:
    """Return the role of the checkpoints in a figure, where there are several.

    Example:
        >>> by_epoch(pd.DataFrame({"checkpoint": ["epoch 1", "epoch 2"]}), "group"), by_epoch(pd.DataFrame(), "group")
        ({'group': 'checkpoint'}, {})
    """
    return {role: "checkpoint"} if "checkpoint" in frame else {}


def null_called(frame: pd.DataFrame) -> str:
    """Return the name of a table's null, for the legend of its figure.

    Example:
        >>> null_called(pd.DataFrame({"null": ["", "like units"]}))
        'like units'
    """
    known = [str(name) for name in frame["null"] if name] if "null" in frame else []
    return known[0] if known else "null"


def around(frame: pd.DataFrame, made: str = "95 % intervals over clusters.") -> str:
    """Return the caption's sentence about intervals: how they were made, or that there are none.

    Example:
        >>> around(pd.DataFrame({"established": ["complete"]}))
        'All contexts there are, so no intervals.'
    """
    return "All contexts there are, so no intervals." if is_complete(frame) else made


def outlined(frame: pd.DataFrame, made: str) -> tuple[dict[str, str], str]:
    """Return the figure role that outlines established cells, and the caption's sentence about it.

    Example:
        >>> outlined(pd.DataFrame({"established": [True]}), "Outlined: established.")
        ({'outline': 'established'}, 'Outlined: established.')
    """
    if is_complete(frame):
        return {}, "All contexts there are, so nothing is tested."
    return {"outline": "established"}, made
