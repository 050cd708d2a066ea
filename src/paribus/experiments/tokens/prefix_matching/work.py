"""Reads the attention patterns of repeated sequences, and of the same without the repeat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Floats, Ints
from paribus.errors import DataError
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.tokens.prefix_matching.spec import PrefixMatching
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.stats.effects import effect_table, established
from paribus.stats.max_flip import max_flip, smallest_max_flip
from paribus.stats.row_sums import RowSums
from paribus.subjects.tokens.data import TokenData
from paribus.subjects.tokens.patterns import Looked, first_time, look, looking_layers, prefixes
from paribus.subjects.tokens.subject import TokenSubject

AUTO = "auto"
LOSS = {
    "epoch": "epoch of the checkpoint",
    "loss_repeat": "mean cross-entropy at the tokens of the repeat but its first, in nats",
    "loss_first": "the same at the same tokens where they stand for the first time",
}
COLUMNS = {
    "epoch": "epoch of the checkpoint",
    "level": "the head",
    "layer": "its layer, from 0",
    "head": "its number in the layer",
    "score": "mean attention from a repeated token to the one after its first occurrence, 0 to 1",
    "score_control": "the same from and to in the same sequences with other tokens instead of the repeat",
    "score_previous": "mean attention from the same tokens to the one before each: an induction head needs a head that "
    "looks there, in an earlier layer",
    "delta": "score - score_control",
    "n": "sequences",
    "n_clusters": "clusters they come from",
    "ci_low": "lower end of the cluster-bootstrap interval of delta",
    "ci_high": "upper end of that interval",
    "ci_adj_low": "lower end of the interval that holds for all heads together",
    "ci_adj_high": "upper end of that interval",
    "ci_method": "how it was made; none: why there is none",
    "p": "sign-flip p of whole clusters: is delta zero?",
    "p_method": "exact, monte_carlo, or none: why there is no test",
    "p_adj": "p adjusted by the largest of all heads under shared sign flips (Westfall and Young)",
    "established": "whether p_adj is within the level and the interval of all heads together leaves out 0",
}


def validate(experiment: PrefixMatching, setup: NetworkSetup) -> None:
    """Look up split, repeats and layers.

    Raises:
        DataError: If sequences do not repeat, or there is nothing to compare them with.
        ConfigError: If the split does not exist, or the network shows no attention pattern.
    """
    rows = _rows(experiment, setup)[:1]
    look(setup.executor(), rows, *prefixes(setup.data.ids[rows]))


def run(experiment: PrefixMatching, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Score every head at every chosen checkpoint; hand over ``heads`` and its map.

    Raises:
        DataError: If sequences do not repeat, or there is nothing to compare them with.
        ConfigError: If the network shows no attention pattern.
    """
    rows = _rows(experiment, setup)
    data: TokenData = setup.data
    assert data.control is not None
    control = TokenSubject(replace(data, ids=data.control, control=None, digest=""))
    at, to = prefixes(data.ids[rows])
    subjects = setup.contexts, TokenSubject(first_time(data, rows, at, to))
    tables, losses = [], []
    for checkpoint in recorder.progress(setup.selected(), description="checkpoints"):
        executor = setup.executor(checkpoint)
        readouts = [subject.readouts["loss"](executor.on(subject)) for subject in subjects]
        seen = look(executor, rows, at, to, readouts)
        beside = look(executor.on(control), rows, at, to)
        tables.append(_table(setup, rows, seen, beside.prefix).assign(epoch=checkpoint.epoch))
        again, first = seen.losses.mean(0).tolist()
        losses.append({"epoch": checkpoint.epoch, "loss_repeat": again, "loss_first": first})
    frame = pd.concat(tables, ignore_index=True)[list(COLUMNS)]
    about = "One row per checkpoint: how well the network repeats, beside how well it guesses."
    recorder.table(Table("loss", about, Evidence.OBSERVATIONAL, pd.DataFrame(losses), LOSS))
    recorder.metric("loss_repeat", losses[-1]["loss_repeat"])
    return _report(recorder, frame, setup, rows)


def _rows(experiment: PrefixMatching, setup: NetworkSetup) -> Ints:
    data, splits = setup.data, setup.contexts.splits
    if data.control is None:
        raise DataError(
            "data: prefix_matching needs sequences that repeat beside ones that do not; data=repeated_tokens"
        )
    name = experiment.split
    if name == AUTO:
        name = "test" if "test" in splits else next(iter(splits))
    rows = setup.contexts.rows_of(name)
    if (prefixes(data.ids[rows])[0][:, :1] < 0).any():
        raise DataError("data: a sequence repeats no token; there is nothing to look back to")
    return rows


def _table(setup: NetworkSetup, rows: Ints, seen: Looked, control: Floats) -> pd.DataFrame:
    score = seen.prefix
    n, n_layers, n_heads = score.shape
    difference = (score - control).reshape(n, -1).T
    clusters = setup.contexts.cluster[rows]
    sums = RowSums(len(difference), clusters, setup.rng("joined"))
    sums.add(difference, np.arange(n))
    by_cluster, rng = sums.result(), setup.rng("prefix_matching")
    table = effect_table(by_cluster, clusters, spec=setup.stats, rng=rng, bounds=(-1.0, 1.0))
    table["p_adj"] = max_flip(by_cluster, rng=setup.rng("max_flip"), n_permutations=setup.stats.n_permutations)
    table["established"] = established(table, level=1 - setup.stats.confidence)
    layer, head = np.divmod(np.arange(n_layers * n_heads), n_heads)
    layer = np.array(looking_layers(setup.network))[layer]
    return table.rename(columns={"mean_delta": "delta"}).assign(
        level=[f"L{one}H{other}" for one, other in zip(layer, head, strict=True)],
        layer=layer,
        head=head,
        score=score.reshape(n, -1).mean(0),
        score_control=control.reshape(n, -1).mean(0),
        score_previous=seen.previous.reshape(n, -1).mean(0),
    )


def _report(recorder: Recorder, frame: pd.DataFrame, setup: NetworkSetup, rows: Ints) -> Aggregates:
    n_clusters = len(np.unique(setup.contexts.cluster[rows]))
    reach = smallest_max_flip(n_clusters, setup.stats.n_permutations)
    about = f"One row per checkpoint and head. {n_clusters} clusters reach p_adj {reach:.2g}."
    recorder.table(Table("heads", about, Evidence.OBSERVATIONAL, frame, COLUMNS))
    panel = {"panel": "epoch"} if frame["epoch"].nunique() > 1 else {}
    cells = {"x": "head", "y": "layer", "value": "score", "outline": "established"}
    drawn = Figure.of("heatmap", "heads", name="prefix_map", **cells, **panel)
    looks = {"vmin": 0, "vmax": 1, "value_label": "attention", "xlabel": "head", "ylabel": "layer"}
    caption = (
        "Outlined: established beyond sequences without a repeat (the p adjusted over all heads, and the interval of "
        "all together). A high score is no effect: take the heads away (head_ablation) to see whether they matter."
    )
    recorder.figure(drawn.titled("Attention to what followed a repeated token before", caption, **looks))
    last = frame[frame["epoch"] == frame["epoch"].max()].sort_values("score", ascending=False, kind="stable")
    top: Any = last.iloc[0]
    recorder.metric("largest_score", float(top["score"]))
    recorder.metric("n_established", float(last["established"].sum()))
    recorder.diagnose(n_contexts_tested=len(rows))
    first, before = last.head(5), last.sort_values("score_previous", ascending=False, kind="stable").head(5)
    return Aggregates(
        n_samples=len(rows),
        n_conditions=len(frame),
        custom={
            "highest": [f"{name} {score:.3f}" for name, score in zip(first["level"], first["score"], strict=True)],
            "highest_previous": [
                f"{name} {score:.3f}" for name, score in zip(before["level"], before["score_previous"], strict=True)
            ],
            "n_established": int(last["established"].sum()),
            "n_heads": len(last),
        },
    )
