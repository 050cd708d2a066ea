"""Observational scores of attention heads, next to the effects of ablating or patching them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from paribus.arrays import Floats, Ints
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.measure.executor import Executor
from paribus.results.evidence import Evidence
from paribus.results.schema import Figure, Table

COLUMNS = {
    "epoch": "epoch of the checkpoint",
    "n": "heads",
    "rank_correlation": "Spearman's correlation over heads of score and size of the mean effect",
}
LEAST = 3
"""With fewer heads no rank correlation is computed."""


def scores_beside(
    executor: Executor, rows: Ints, heads: Sequence[tuple[int, int]], recorder: Recorder
) -> Floats | None:
    """Return the score of each head (layer and number) ``[k]`` that the subject offers; None where there is none.

    Args:
        executor: The network at one checkpoint.
        rows: The contexts that are reported.
        heads: Layer and number of each.
        recorder: Is told where the network does not show what is looked at.
    """
    offered = executor.subject.head_scores
    if not offered:
        return None
    name = next(iter(offered))
    try:
        found = offered[name](executor, rows)
    except ConfigError as error:
        recorder.warn(f"No score of {name} beside the effects: {error}.")
        return None
    return np.array([found.get(head, np.nan) for head in heads])


def score_and_effect(recorder: Recorder, frame: pd.DataFrame, table: str, kind: str, by: str) -> None:
    """Hand over the rank correlation of score and size of the effect over heads, and a figure of both.

    Args:
        recorder: Gets them.
        frame: The table, with a column ``score`` where heads have one.
        table: Its name.
        kind: What was read.
        by: Column whose values have a correlation each.
    """
    if "score" not in frame or frame["score"].notna().sum() < LEAST:
        return
    last = frame[frame["epoch"] == frame["epoch"].max()]
    panel = {"panel": by} if last[by].nunique() > 1 else {}
    drawn = Figure.of("scatter", table, name="score_and_effect", x="score", y="mean_delta", label="level", **panel)
    caption = "A high score is no effect: a head that looks where an induction head would need not matter."
    looks = {"xlabel": "attention to what followed before", "ylabel": f"change of {kind}", "hline": 0}
    if frame["epoch"].nunique() == 1:
        recorder.figure(drawn.titled("Score and effect of each head", caption, **looks))
    rows = [
        {"epoch": epoch, by: value, "n": len(some), "rank_correlation": _rank_correlation(some)}
        for (epoch, value), some in frame.groupby(["epoch", by], sort=False)
    ]
    about = f"One row per checkpoint and {by}: whether heads of high score are those of large effect in {table}."
    columns = {**COLUMNS, by: f"as in {table}"}
    recorder.table(Table("score_and_effect", about, Evidence.OBSERVATIONAL, pd.DataFrame(rows), columns))


def _rank_correlation(rows: pd.DataFrame) -> float:
    known = rows[rows["score"].notna() & rows["mean_delta"].notna()]
    score, size = known["score"].to_numpy(), known["mean_delta"].abs().to_numpy()
    if len(known) < LEAST or not np.ptp(score) or not np.ptp(size):
        return float("nan")
    return float(spearmanr(score, size).statistic)
