"""The declared endpoints of the study: one number per run, read from the table where its experiment declares it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd

from paribus.experiments.setup_runs import CollectedRun
from paribus.results.endpoint import Endpoint

ROUNDING = 1e-6
"""How far beyond its declared bounds an endpoint may lie (tables of float32 numbers)."""
LAST = ""
"""Choice of a layer: the last one of the table."""

Unit = tuple[Any, Any, Any]
Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Reading:
    """The value of an endpoint in one run, with the run's own interval over its contexts (NaN where it has none).

    Attributes:
        value: The endpoint.
        low: Lower end of its interval.
        high: Upper end.
        epoch: The checkpoint it was read at.
        ranking: The change of AUROC beside it; NaN where none is declared.
        remark: How it was read, if not at the chosen checkpoint as such; else empty.
    """

    value: float
    low: float
    high: float
    epoch: float
    ranking: float = math.nan
    remark: str = ""


@dataclass(frozen=True)
class Unread:
    """Why an endpoint could not be read in a run."""

    reason: str


@dataclass(frozen=True)
class Choice:
    """What to read where a run holds several: ablation method, steering direction, probe layer, checkpoint.

    Attributes:
        method: Eraser.
        direction: Steering direction.
        layer: Probed layer; the last one if empty.
        at: The rule that chooses the checkpoint: ``peak_val``, ``final`` or ``epoch:N``.
        epoch: Epoch that the rule chooses, by :func:`model_of`, where known.
        level: Row of a generic experiment's table.
    """

    method: str
    direction: str
    layer: str
    at: str
    epoch: Mapping[Hashable, float]
    level: str = ""


def readings(tried: Iterable[tuple[Item, Found | Unread]]) -> tuple[list[tuple[Item, Found]], Counter[str]]:
    """Return what was read, with the run that it was read of, and how many runs have none, by the reason.

    Example:
        >>> readings([("a", 0.5), ("b", Unread("not measured"))])
        ([('a', 0.5)], Counter({'not measured': 1}))
    """
    found: list[tuple[Item, Found]] = []
    unread: Counter[str] = Counter()
    for item, value in tried:
        if isinstance(value, Unread):
            unread[value.reason] += 1
        else:
            found.append((item, value))
    return found, unread


def unit(run: CollectedRun) -> Unit:
    """Return a key of the run's trained model within a study."""
    return run.condition, run.n_train, run.seed


def model_of(run: CollectedRun) -> Hashable:
    """Return a key of the run's trained model: the id of the run that trained it, else its unit."""
    return run.model_run or unit(run)


def read(endpoint: Endpoint, run: CollectedRun, choice: Choice) -> Reading | Unread:
    """Return the value of an endpoint in a run, or why it has none."""
    chosen = {column: str(getattr(choice, column)) for column in endpoint.choices}
    rows = chosen_rows(run, endpoint.table, {**endpoint.rows, **chosen}, endpoint.columns)
    if isinstance(rows, Unread):
        return rows
    at, remark = at_epoch(rows, run, choice, endpoint.epoch)
    if isinstance(at, Unread):
        return at
    if len(at) != 1:
        return Unread(f"{len(at)} rows of its table {endpoint.table!r} fit, not one")
    row = at.iloc[0]
    value = float(row[endpoint.value])
    if not math.isfinite(value):
        return Unread(f"{endpoint.value} of its table {endpoint.table!r} is {value:g}")
    low, high = (float(row[end]) if end else math.nan for end in (endpoint.low, endpoint.high))
    if endpoint.one_minus:
        value, low, high = 1 - value, 1 - high, 1 - low
    least, most = endpoint.bounds
    if not least - ROUNDING <= value <= most + ROUNDING:
        return Unread(f"{endpoint.value} of its table {endpoint.table!r} is {value:g}, outside {least:g} to {most:g}")
    ranking = math.nan if endpoint.ranking is None else float(row[endpoint.ranking.value])
    return Reading(value, low, high, float(row[endpoint.epoch]), ranking, remark)


def chosen_rows(
    run: CollectedRun, table: str, wanted: Mapping[str, str], columns: tuple[str, ...]
) -> pd.DataFrame | Unread:
    """Return the rows of a run's table that have the wanted values, or why there are none.

    Args:
        run: The run.
        table: Name of the table.
        wanted: Column to value; a ``layer`` of "" is the last one of the table.
        columns: Columns that must be there.
    """
    frame = run.tables.get(table)
    if frame is None:
        return Unread(f"its table {table!r} is not there")
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        return Unread(f"its table {table!r} has no column {', '.join(absent)}")
    for column, value in wanted.items():
        known = [str(each) for each in pd.unique(frame[column])]
        if column == "layer" and value == LAST and known:
            value = known[-1]
        if value not in known:
            return Unread(f"its table {table!r} has no row with {column}={value} (it has {', '.join(known) or 'none'})")
        frame = frame[frame[column].astype(str) == value]
    return frame


def at_epoch(
    rows: pd.DataFrame, run: CollectedRun, choice: Choice, column: str = "epoch"
) -> tuple[pd.DataFrame | Unread, str]:
    """Return the rows of the checkpoint that the rule chooses, and a remark where it had no choice.

    A run that measured a single checkpoint is read there; one that measured several, but not the chosen one, is not
    read at another.
    """
    epochs = rows[column].astype(float)
    measured = sorted(set(epochs))
    wanted = choice.epoch.get(model_of(run))
    if wanted is None and choice.at == "final":
        wanted = measured[-1]
    if wanted is not None and wanted in measured:
        return rows[epochs == wanted], ""
    if len(measured) == 1:
        known = "" if wanted is None else f", {choice.at} being epoch {wanted:g}"
        return rows, f"read at the only checkpoint it measured, epoch {measured[0]:g}{known}" if known else ""
    if wanted is None:
        why = f"its training is not among the runs, so that {choice.at} is not known; use at=final or at=epoch:N"
        return Unread(why), ""
    shown = ", ".join(f"{epoch:g}" for epoch in measured)
    return Unread(f"it measured epochs {shown}, not {wanted:g}, which is {choice.at}"), ""
