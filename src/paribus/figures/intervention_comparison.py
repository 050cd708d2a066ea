"""The comparison of training conditions: ablation over epochs, and steering; side by side, or below each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from paribus.arrays import Bools, Floats
from paribus.figures import _panels, style
from paribus.figures._request import Request, levels, numbers
from paribus.figures.strip import mean_interval
from paribus.stats.few import LEAST_RUNS

REQUIRED = ("condition", "epoch", "raw", "ablated", "alpha", "accuracy")
OPTIONAL = ("n_train", "seed")
OPTIONS = (
    "conditions", "hline", "min_runs_for_band", "epoch_label", "alpha_label", "accuracy_label", "logx", "max_legend",
    "confidence",
)  # fmt: skip
TABLES_OF = {
    "condition": (0, 1), "n_train": (0, 1), "seed": (0, 1), "epoch": (0,), "raw": (0,), "ablated": (0,),
    "alpha": (1,), "accuracy": (1,),
}  # fmt: skip
DRAWS_EMPTY = True

DONE = ("subspace ablated", "steered")
MOST_SPELT_OUT = 4
"""Conditions up to which every panel says what was done in it; of more, the first of each row does."""
LEAST_COLUMN = 1.5
"""Inches that a condition needs beside others."""
DASHED = (0, (4, 2))
RUN_COLOURS = (*(colour for colour in style.COLOURS if colour != "#000000"), "#7B3294")
"""Of single runs: the mean over them is black."""


def draw(request: Request) -> Figure:
    """Draw the 2 x conditions panels: runs thin and coloured; black, the mean over runs with its t band.

    Mean and band are drawn only where every run of the panel was measured, and joined only where no run was measured in
    between; nothing is interpolated.
    """
    ablation = request.frames[0]
    steering = request.frames[1] if len(request.frames) > 1 else pd.DataFrame()
    conditions = _conditions(request, (ablation, steering))
    runs = _Runs(request, (ablation, steering))
    fig, axes, down = _grid(request, len(conditions))
    many = len(conditions) > MOST_SPELT_OUT and not down
    accuracy = str(request.option("accuracy_label", "OOD accuracy"))
    for row, (frame, x, ys) in enumerate(
        ((ablation, request.need("epoch"), (request.need("raw"), request.need("ablated"))),
         (steering, request.need("alpha"), (request.need("accuracy"),)))
    ):  # fmt: skip
        for column, condition in enumerate(conditions):
            ax = axes[row, column]
            rows = _of(frame, request.need("condition"), condition)
            drawn = runs.draw(ax, rows, x, ys)
            if not drawn:
                _empty(ax)
            else:
                _panels.reference_lines(ax, request.option("hline"), "y")
            name = request.shown(condition)
            _panels.panel_title(ax, name if many or (down and column) else f"{name}: {DONE[row]}")
            if not down or column == len(conditions) - 1:
                label = (("epoch_label", "epoch"), ("alpha_label", "α (sd along the direction)"))[row]
                _panels.wide_label(ax, str(request.option(*label)))
            if down and not row:
                ax.set_ylabel(accuracy)
        if not down:
            axes[row, 0].set_ylabel(f"{accuracy}, {DONE[row]}" if many else accuracy)
        axes[row, 0].yaxis.set_tick_params(labelleft=True)
    _finish(request, axes, (ablation, steering))
    _panels.legend(request, axes[0, -1], runs.handles())
    return fig


def _grid(request: Request, n: int) -> tuple[Figure, Any, bool]:
    """Return a figure with its panels [2, conditions], and whether conditions stand below each other.

    They do where they would be too narrow side by side, as in a column of print.
    """
    width = float(request.option("width", max(7.0, min(3.9 * n, 16.0)) + 1.9))
    if width / n >= LEAST_COLUMN:
        fig = style.blank_figure(width, request.option("height", 6.9))
        return fig, fig.subplots(2, n, squeeze=False, sharey="row", sharex="row"), False
    fig = style.blank_figure(width, request.option("height", 1.25 * n + 1.8))
    return fig, fig.subplots(n, 2, squeeze=False, sharey=True, sharex="col").T, True


def _conditions(request: Request, frames: tuple[pd.DataFrame, pd.DataFrame]) -> list[Any]:
    column = request.need("condition")
    wanted = list(request.option("conditions", []))
    found = [value for frame in frames if not frame.empty for value in levels(frame, column)]
    return (wanted + [value for value in dict.fromkeys(found) if value not in wanted]) or ["standard", "grokking"]


def _of(frame: pd.DataFrame, column: str, value: Any) -> pd.DataFrame:
    return frame if frame.empty else frame[frame[column] == value]


def _empty(ax: Axes) -> None:
    """Say that nothing is there; axes are shared, so ticks stay and only the panel itself turns grey."""
    ax.grid(visible=False)
    ax.set_facecolor("#F4F4F4")
    ax.text(0.5, 0.5, "no data yet", transform=ax.transAxes, ha="center", va="center", color=style.QUIET, fontsize=11)


def _finish(request: Request, axes: Any, frames: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    ablation = frames[0]
    if not ablation.empty:
        epochs = numbers(ablation, request.need("epoch"))
        for ax in axes[0]:
            _panels.scale(ax, "x", request.option("logx", "auto"), epochs)
    for row, frame in zip(axes, frames, strict=True):
        if frame.empty:
            row[0].set_xticks([])
            row[0].set_yticks([])
    ylim, xlim = request.option("ylim"), request.option("xlim")
    for ax in axes.ravel() if ylim is not None else ():
        ax.set_ylim(float(ylim[0]), float(ylim[1]))
    for ax in axes[1] if xlim is not None else ():
        ax.set_xlim(float(xlim[0]), float(xlim[1]))


def on_grid(curves: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Return every place where some curve was measured [k], and the curves there [curves, k]: NaN where one was not."""
    grid = np.unique(np.concatenate([at for at, _ in curves]))
    stacked = np.full((len(curves), len(grid)), np.nan)
    for row, (at, values) in zip(stacked, curves, strict=True):
        row[np.searchsorted(grid, at)] = values
    return grid, stacked


def _band(index: int, colour: str) -> dict[str, Any]:
    """Return the look of the band of raw (0: filled) or ablated (1: hatched) accuracy."""
    if index == 0:
        return {"facecolor": colour, "alpha": 0.16, "linewidth": 0}
    return {"facecolor": "none", "edgecolor": colour, "alpha": 0.45, "hatch": "////", "linewidth": 0}


def _alone(ax: Axes, index: int, at: Floats, ends: Floats, colour: str) -> None:
    """Mark means [k] with low and high that no line joins: raw filled, ablated open, side by side."""
    figure = ax.get_figure()
    assert figure is not None
    ax.margins(x=0.1)
    beside = ax.transData + ScaledTranslation((1 if index else -1) * 4 / 72, 0, figure.dpi_scale_trans)
    for x, mean, low, high in zip(at, *ends, strict=True):
        ax.plot([x, x], [low, high], color=colour, linewidth=1.6, linestyle=DASHED if index else "-", zorder=4,
                transform=beside)  # fmt: skip
        ax.plot([x], [mean], color=colour, marker="s", markersize=6.5, markeredgewidth=1.6, zorder=4.1,
                markerfacecolor="white" if index else colour, transform=beside)  # fmt: skip


class _Runs:
    """Every run's colour and name, the same in all panels."""

    def __init__(self, request: Request, frames: tuple[pd.DataFrame, pd.DataFrame]) -> None:
        self.request = request
        self.columns = [c for c in (request.one("n_train"), request.one("seed")) if c is not None]
        keys: set[tuple[Any, ...]] = set()
        for frame in frames:
            if not frame.empty and self.columns:
                keys |= set(frame[self.columns].itertuples(index=False, name=None))
        self.keys = sorted(keys, key=lambda key: tuple((str(type(v)), v) for v in key))
        self.sizes = list(dict.fromkeys(key[0] for key in self.keys)) if len(self.columns) == 2 else [None]
        self.bands: set[int] = set()
        self.dashed = False
        self.mean = False

    def look(self, key: tuple[Any, ...]) -> dict[str, Any]:
        if len(self.sizes) > 1:
            size = self.sizes.index(key[0])
            seed = [k for k in self.keys if k[0] == key[0]].index(key)
            return {"color": style.colour(size), "marker": style.marker(seed)}
        index = self.keys.index(key) if key in self.keys else 0
        return {"color": RUN_COLOURS[index % len(RUN_COLOURS)], "marker": style.marker(index)}

    def name(self, key: tuple[Any, ...]) -> str:
        letters = {self.request.one("n_train"): "n=", self.request.one("seed"): "s"}
        pieces = []
        for column, value in zip(self.columns, key, strict=True):
            whole = isinstance(value, float | np.floating) and float(value).is_integer()
            pieces.append(f"{letters[column]}{int(value) if whole else value}")
        return " ".join(pieces) or "run"

    def draw(self, ax: Axes, rows: pd.DataFrame, x: str, ys: tuple[str, ...]) -> bool:
        if rows.empty:
            return False
        groups = rows.groupby(self.columns, sort=False) if self.columns else [((), rows)]
        lines: dict[tuple[Any, str], list[tuple[Floats, Floats]]] = {}
        for key, part in groups:
            key = key if isinstance(key, tuple) else (key,)
            for index, column in enumerate(ys):
                table = pd.DataFrame({"x": numbers(part, x), "y": numbers(part, column)}).dropna()
                means = table.groupby("x")["y"].mean()
                at, values = means.index.to_numpy(float), means.to_numpy(float)
                if not len(at):
                    continue
                look = self.look(key)
                self.dashed |= index > 0
                ax.plot(
                    at, values, linestyle=DASHED if index else "-", linewidth=0.9, alpha=0.75, markersize=2.8,
                    markevery=max(1, len(at) // 12), markeredgewidth=0, zorder=2.5, **look,
                )  # fmt: skip
                size = key[0] if len(self.sizes) > 1 else None
                lines.setdefault((size, column), []).append((at, values))
        for (size, column), curves in lines.items():
            self._mean(ax, size, ys.index(column), curves)
        return bool(lines)

    def _mean(self, ax: Axes, size: Any, index: int, curves: list[tuple[Floats, Floats]]) -> None:
        if len(curves) < 2:
            return
        grid, stacked = on_grid(curves)
        complete: Bools = np.asarray(np.isfinite(stacked).all(axis=0))
        if not complete.any():
            return
        self.mean = True
        confidence = float(self.request.option("confidence", 0.95))
        triples = np.full((len(grid), 3), np.nan)
        triples[complete] = [mean_interval(stacked[:, k], confidence) for k in np.flatnonzero(complete)]
        if len(curves) < int(self.request.option("min_runs_for_band", LEAST_RUNS)):
            triples[:, 1:] = np.nan
        shade = style.INK if size is None else style.colour(self.sizes.index(size))
        alone = complete & ~np.r_[False, complete[:-1]] & ~np.r_[complete[1:], False]
        ax.plot(
            grid, np.where(alone, np.nan, triples[:, 0]), color=shade, linewidth=2.3,
            linestyle=DASHED if index else "-", zorder=4,
        )  # fmt: skip
        low, high = np.clip(triples[:, 1], 0.0, 1.0), np.clip(triples[:, 2], 0.0, 1.0)
        there = np.isfinite(low) & np.isfinite(high)
        if there.any():
            self.bands.add(index)
            colour = shade if size is not None else "#555555"
            ax.fill_between(grid, low, high, where=(there & ~alone).tolist(), zorder=1.8, **_band(index, colour))
        if alone.any():
            _alone(ax, index, grid[alone], np.stack([triples[alone, 0], low[alone], high[alone]]), shade)

    def handles(self) -> list[Any]:
        most = int(self.request.option("max_legend", 24))
        made: list[Any] = [
            Line2D([], [], linewidth=1.2, markersize=4, label=self.name(key), **self.look(key))
            for key in self.keys[:most]
        ]
        if len(self.keys) > most:
            made.append(Line2D([], [], linestyle="None", label=f"and {len(self.keys) - most} more runs"))
        if self.mean:
            made.append(
                Line2D([], [], color=style.INK, linewidth=2.3, marker="s", markersize=5, label="mean over runs (thick)")
            )
        percent = f"{100 * float(self.request.option('confidence', 0.95)):g} % (t, over runs)"
        for index in sorted(self.bands):
            text = f"{percent}, ablated" if index else percent
            made.append(Patch(label=text, **_band(index, "#555555")))
        if self.dashed:
            made.append(Line2D([], [], color=style.QUIET, linewidth=1.2, label="raw"))
            made.append(Line2D([], [], color=style.QUIET, linewidth=1.2, linestyle=DASHED, label="ablated"))
        return made
