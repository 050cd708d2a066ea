"""Draw a declared figure: find the drawing of its kind, check what it was given, and draw in the house style."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Drawing

from paribus.errors import ExperimentError, nearest
from paribus.figures import _panels, style
from paribus.figures._request import COMMON_OPTIONS, Request
from paribus.results.schema import Figure

PARTS = ("REQUIRED", "OPTIONAL", "OPTIONS", "draw")
"""What a drawing from outside must have: roles it needs and may have, options, and the function that draws."""
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_NOT_KINDS = frozenset({"about", "draw", "save", "style"})
_FORMER: Mapping[str, tuple[str, Mapping[str, str], Mapping[str, Any]]] = {
    "validation_histogram": ("histogram", {}, {"share": True}),
    "volcano": ("scatter", {"p": "y"}, {"y_is_p": True}),
    "coverage": (
        "forest",
        {"core": "value", "tail": "value", "base": "tick"}
        | {f"{part}_{end}": end for part in ("core", "tail") for end in ("low", "high")},
        {"together": True, "labels": ["core", "tail"], "sort": "gap"},
    ),
    "itemset_lift": (
        "forest",
        {"lift": "value", "effect": "value", "effect_low": "low", "effect_high": "high", "support": ""},
        {"alpha": 0.05, "reference": [1.0, 0.0], "logx": [True, False], "labels": ["lift", "effect"]},
    ),
}
"""Kinds that stored results may name, which are options of another one now: that one, roles renamed, options added."""


def kinds() -> tuple[str, ...]:
    """Return the names of all kinds of drawing, sorted.

    Example:
        >>> "curve" in kinds(), "forest" in kinds()
        (True, True)
    """
    names = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return tuple(sorted(name for name in names if not name.startswith("_") and name not in _NOT_KINDS))


def draw(figure: Figure, tables: Mapping[str, pd.DataFrame], *, about: str = "", width: float | None = None) -> Drawing:
    """Draw ``figure`` from ``tables``.

    Args:
        figure: The declaration.
        tables: The frames by table name; at least those that the figure names.
        about: What it is about (data set, place, feature), a second line of the title; see
            :func:`paribus.figures.about.about`.
        width: Width in inches; None: what suits the drawing. Below 4.4, as in a column of print, panels stand under
            each other, texts are smaller, and the legend stands below.

    Returns:
        A matplotlib figure that belongs to no window and no global state.

    Raises:
        ExperimentError: If the kind, a role, an option, a table or a column does not exist, or a required role is
            missing; the message names the figure and the nearest valid names.
    """
    figure = _as_today(figure)
    module = _kind(figure)
    frames = _frames(figure, tables)
    _check(figure, module, frames)
    options = figure.options if width is None else {**_without_size(figure.options), "width": width}
    request = Request(tuple(frames), figure.columns, options)
    with style.styled(width):
        if all(frame.empty for frame in frames) and not getattr(module, "DRAWS_EMPTY", False):
            made, axes = _panels.grid(request, 1)
            _panels.no_data(axes[0])
        else:
            made = module.draw(request)
        _panels.heading(made, "\n".join(filter(None, (figure.title, about))))
        _panels.note(made, str(request.option("note", "")))
        _panels.apart(made)
    return made


def _without_size(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in ("width", "height", "panel_columns")}


def _as_today(figure: Figure) -> Figure:
    """Return a figure that an older version declared as it is declared today."""
    if figure.kind not in _FORMER:
        return figure
    kind, renamed, options = _FORMER[figure.kind]
    columns: dict[str, list[str]] = {}
    for role, named in figure.columns.items():
        if today := renamed.get(role, role):
            columns.setdefault(today, []).extend([named] if isinstance(named, str) else named)
    return replace(figure, kind=kind, columns=columns, options={**options, **figure.options})


def _kind(figure: Figure) -> ModuleType:
    """Return the module of a kind: one of Paribus by its name, one from outside by its dotted name.

    Raises:
        ExperimentError: If there is none, or the one from outside lacks a part.
    """
    if _DOTTED.fullmatch(figure.kind):
        return _outside(figure)
    known = kinds()
    if figure.kind not in known:
        raise ExperimentError(
            f"figure {figure.name!r}: no drawing of kind {figure.kind!r}; {nearest(figure.kind, known)}"
        )
    return importlib.import_module(f"paribus.figures.{figure.kind}")


def _outside(figure: Figure) -> ModuleType:
    where = f"figure {figure.name!r}: drawing {figure.kind!r}"
    try:
        module = importlib.import_module(figure.kind)
    except ImportError as error:
        raise ExperimentError(f"{where}: cannot be imported ({error})") from None
    lacking = [name for name in PARTS if not hasattr(module, name)]
    if lacking:
        raise ExperimentError(f"{where}: lacks {', '.join(lacking)}; a drawing has {', '.join(PARTS)}")
    return module


def _frames(figure: Figure, tables: Mapping[str, pd.DataFrame]) -> list[pd.DataFrame]:
    if not figure.tables:
        raise ExperimentError(f"figure {figure.name!r}: it names no table")
    for name in figure.tables:
        if name not in tables:
            raise ExperimentError(f"figure {figure.name!r}: no table {name!r}; {nearest(name, tables)}")
    return [tables[name] for name in figure.tables]


def _check(figure: Figure, module: ModuleType, frames: Sequence[pd.DataFrame]) -> None:
    required: Sequence[str] = module.REQUIRED
    valid = (*required, *module.OPTIONAL)
    options = (*COMMON_OPTIONS, *module.OPTIONS)
    where = f"figure {figure.name!r} ({figure.kind})"
    for role in figure.columns:
        if role not in valid:
            raise ExperimentError(f"{where}: no such role {role!r}; {nearest(role, valid, show=40)}")
    for option in figure.options:
        if option not in options:
            raise ExperimentError(f"{where}: no such option {option!r}; {nearest(option, options, show=40)}")
    for role in required:
        if not figure.columns.get(role):
            raise ExperimentError(f"{where}: the role {role!r} needs a column")
    tables_of: Mapping[str, tuple[int, ...]] = getattr(module, "TABLES_OF", {})
    for role, named in figure.columns.items():
        for index in tables_of.get(role, (0,)):
            if index >= len(frames) or frames[index].empty:
                continue
            for column in [named] if isinstance(named, str) else named:
                if column not in frames[index].columns:
                    raise ExperimentError(
                        f"{where}: table {figure.tables[index]!r} has no column {column!r} for {role!r}; "
                        f"{nearest(column, map(str, frames[index].columns), show=40)}"
                    )
