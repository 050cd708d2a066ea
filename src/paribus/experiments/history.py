"""The history of a training as tables and figures, and the index of what it kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd

from paribus.experiments.base import Recorder
from paribus.results.evidence import Evidence
from paribus.results.schema import Figure, Table
from paribus.training.loops.workspace import checkpoint_name


@contextmanager
def history_of(
    recorder: Recorder, meanings: Mapping[str, str], lacking: Collection[str] = ()
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Give what an evaluation is handed to: metrics are kept at once, and the table ``history`` where training ends.

    A training that fails hands over its history so far.

    Args:
        recorder: Gets them.
        meanings: The columns, the first of them the step.
        lacking: Columns that are no metrics here.

    Example:
        >>> from paribus.experiments.base import MemoryRecorder
        >>> recorder = MemoryRecorder()
        >>> with history_of(recorder, {"step": "steps", "loss": "loss"}) as observe:
        ...     observe({"step": 1, "loss": 0.5})
        >>> recorder.metrics, len(recorder.tables["history"].frame)
        ({'loss': 0.5}, 1)
    """
    step, *names = meanings
    seen: list[Mapping[str, Any]] = []

    def observe(values: Mapping[str, Any]) -> None:
        seen.append(values)
        for name in names:
            if name not in lacking:
                recorder.metric(name, values[name], step=values[step])

    try:
        yield observe
    finally:
        if seen:
            recorder.table(history_table(seen, meanings))


def history_table(rows: Sequence[Mapping[str, Any]], meanings: Mapping[str, str]) -> Table:
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
    return checkpoints_table([epoch], {"peak_val": chosen}, peak_val=epoch, final=epoch)


def checkpoints_table(epochs: Sequence[int], meanings: Mapping[str, str], **chosen: int | None) -> Table:
    """Return the index of what was kept, and which of it each choice means.

    Args:
        epochs: What was kept.
        meanings: What the columns mean.
        chosen: The epoch of each choice, None where there is none.

    Example:
        >>> checkpoints_table([1, 3], {}, final=3).frame["final"].tolist()
        [False, True]
    """
    columns = {"epoch": list(epochs), "checkpoint": [checkpoint_name(epoch) for epoch in epochs]}
    marks = {name: [epoch == which for epoch in epochs] for name, which in chosen.items()}
    says = "One row per checkpoint that was kept."
    return Table("checkpoints", says, Evidence.TRAINING, pd.DataFrame({**columns, **marks}), meanings)


def history_figure(name: str, y: str, title: str, caption: str, *, x: str, ylabel: str) -> Figure:
    """Return the curve of one column of the history.

    Example:
        >>> history_figure("figure_loss", "loss", "Loss", "Held out.", x="step", ylabel="loss").name
        'figure_loss'
    """
    return Figure.of("curve", "history", name=name, x=x, y=y).titled(title, caption, xlabel=x, ylabel=ylabel)
