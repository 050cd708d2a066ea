"""The history of a training as tables and figures, and the index of what it kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from paribus.results.evidence import Evidence
from paribus.results.schema import Figure, Table
from paribus.training.loops.workspace import checkpoint_name


def history_table(rows: Sequence[dict[str, Any]], meanings: Mapping[str, str]) -> Table:
    """Return the history of a training, one row per evaluation.

    Example:
        >>> history_table([{"step": 1, "loss": 0.5}], {"step": "steps", "loss": "loss"}).frame.shape
        (1, 2)
    """
    says = "One row per evaluation during training."
    return Table("history", says, Evidence.TRAINING, pd.DataFrame(list(rows), columns=list(meanings)), meanings)


def checkpoint_table(epoch: int, chosen: str) -> Table:
    """Return the index of what was kept: one state, ``chosen`` in the words of the subject.

    Example:
        >>> checkpoint_table(3, "the only one").frame["checkpoint"].tolist()
        ['checkpoint_e00003']
    """
    return Table(
        "checkpoints",
        "One row per checkpoint that was kept.",
        Evidence.TRAINING,
        pd.DataFrame({"epoch": [epoch], "checkpoint": [checkpoint_name(epoch)], "peak_val": [True], "final": [True]}),
        {"peak_val": chosen},
    )


def history_figure(name: str, y: str, title: str, caption: str, *, x: str, ylabel: str) -> Figure:
    """Return the curve of one column of the history.

    Example:
        >>> history_figure("figure_loss", "loss", "Loss", "Held out.", x="step", ylabel="loss").name
        'figure_loss'
    """
    return Figure.of("curve", "history", name=name, x=x, y=y).titled(title, caption, xlabel=x, ylabel=ylabel)
