"""Weapons, or groups of them, as builds use them beside what swapping them does: one table, one figure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from paribus.experiments.base import Recorder
from paribus.results.evidence import Evidence
from paribus.results.schema import NULL_BAND, Figure, Table
from paribus.stats.intervals import NO_VALUES

OBSERVED, SWAPPED = "observed, as used", "swapped, same builds"
ENDS = ("low", "high", "method")


def standing_out(observed: pd.DataFrame, swapped: pd.DataFrame, label: str, most: int) -> list[str]:
    """Return who is shown: half by the difference as used, then who moves the feature when swapped, then the others."""
    by_use = observed["delta"].abs().sort_values(ascending=False, kind="stable").index
    leading = list(observed.loc[by_use, label])[: most // 2]
    moved = swapped.loc[swapped["mean_delta"] != 0, label]
    return list(dict.fromkeys([*leading, *moved, *observed[label], *swapped[label]]))[:most]


def used_and_swapped(
    observed: pd.DataFrame, swapped: pd.DataFrame, label: str, names: list[str], *others: str
) -> pd.DataFrame:
    """Return a row for each of ``names`` as used, then as swapped; the largest effect of swapping first in both.

    Args:
        observed: Differences as used: ``delta`` with ``delta_low``, ``delta_high`` and ``delta_method``.
        swapped: Effects of swapping: ``mean_delta`` with its interval and null.
        label: The column of the names, in both.
        names: Who is shown.
        others: Further columns to keep.
    """
    columns = [label, "source", "delta", *ENDS, "null_low", "null_high", *others]
    done = swapped.set_index(label).reindex(names).sort_values("mean_delta", ascending=False, kind="stable")
    seen = observed.set_index(label).reindex(done.index)
    seen = seen.rename(columns={f"delta_{end}": end for end in ENDS}).assign(source=OBSERVED)
    seen = seen.assign(null_low=float("nan"), null_high=float("nan"))
    done = done.rename(columns={"mean_delta": "delta"} | {f"ci_{end}": end for end in ENDS}).assign(source=SWAPPED)
    both = pd.concat([part.reset_index()[columns] for part in (seen, done)], ignore_index=True)
    return both.fillna({"method": NO_VALUES})


def draw_contrast(
    recorder: Recorder, frame: pd.DataFrame, stem: str, label: str, says: str, meaning: str, title: str, caption: str
) -> None:
    """Hand the table ``<stem>_contrast`` over and declare its figure ``<stem>_forest``.

    Args:
        recorder: What keeps both.
        frame: Rows of :func:`used_and_swapped`.
        stem: How the names of table and figure start.
        label: The column of the names.
        says: What a row is.
        meaning: What the column ``source`` says.
        title: Title of the figure.
        caption: Its caption.
    """
    meanings = {"source": meaning, "delta": "the difference that source names"}
    recorder.table(Table(f"{stem}_contrast", says, Evidence.OBSERVATIONAL, frame, meanings))
    roles = {"label": label, "value": "delta", "low": "low", "high": "high", "panel": "source", **NULL_BAND}
    drawn = Figure.of("forest", f"{stem}_contrast", name=f"{stem}_forest", **roles)
    looks: dict[str, Any] = {"xlabel": "difference of activation", "reference": 0.0, "null_label": "like features"}
    recorder.figure(drawn.titled(title, caption, **looks))
