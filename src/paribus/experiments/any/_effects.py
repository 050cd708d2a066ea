"""The canonical table of effects that every generic experiment makes, and what is derived from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Floats
from paribus.experiments.any._readouts import KL
from paribus.experiments.any._session import At, Rows
from paribus.experiments.base import Recorder
from paribus.experiments.headline import largest_size
from paribus.experiments.setup import NetworkSetup
from paribus.methods.contrast import Found, Null
from paribus.results.columns import tested
from paribus.results.evidence import Evidence
from paribus.results.hypothesis import COMPLETE
from paribus.results.schema import Aggregates, Table
from paribus.stats.clusters import ClusterSums, joined
from paribus.stats.effects import complete_table, effect_table, established, skew_warnings
from paribus.stats.inclusion import DRAWS, inclusion
from paribus.stats.interchanged import NAME as INTERCHANGED
from paribus.stats.intervals import AT_LEAST_0, DIVERGENCE, Bounds
from paribus.stats.max_flip import max_flip, smallest_max_flip

NOT_INFERRED = "Population: complete; nothing is inferred over contexts."
LEAST_TESTED = 6
"""Contexts below which a row has no test and no interval."""

COLUMNS: Mapping[str, str] = {
    "epoch": "epoch of the checkpoint",
    "checkpoint": "the same as text, where there are several",
    "level": "what was done",
    "dose": "the level as a number, where it is an amount",
    "readout": "what was read",
    "mean_readout": "mean of the readout under it",
    "mean_delta": "mean paired difference of the readout to the same context's baseline",
    "std_delta": "sample sd of the paired differences",
    "std_error": "cluster-robust standard error of mean_delta",
    "n": "contexts measured",
    "n_clusters": "clusters they come from",
    **tested("mean_delta", "whole clusters", "is the effect zero?", "all rows of this table together (max-t)"),
    "p_adj": "p adjusted over the rows of this table",
    "null": "what the null is made of; empty where there is none of this kind",
    "null_low": "2.5 % quantile of the same mean under the null",
    "null_median": "median of that null",
    "null_high": "97.5 % quantile of that null",
    "null_percentile": "percentile of mean_delta in that null, 0 to 100; not a p",
    "established": "whether p_adj is within the level and the interval of all rows together leaves out 0",
    "inclusion": f"share of {DRAWS} cluster resamples in which the row differs from 0 again, adjusted, with its sign",
}
"""What the columns mean that tables of effects share."""

KNOWN = {
    "established": f"{COLUMNS['established']}; complete: all contexts there are were measured, so that mean_delta is "
    "known and nothing is inferred over contexts",
}
"""Meanings that replace these where the whole population was measured."""


@dataclass(frozen=True)
class Part:
    """Rows measured at one checkpoint.

    Attributes:
        epoch: Of the checkpoint.
        rows: What each row is, by column; ``level`` at least.
        sums: The effects, by cluster.
        means: Mean of the readout under each row; None where that is no single number.
        null: Their null; None without.
    """

    epoch: int
    rows: Sequence[Mapping[str, Any]]
    sums: ClusterSums
    means: Floats | None = None
    null: Null | None = None

    @classmethod
    def of(cls, at: At, rows: Sequence[Mapping[str, Any]], found: Found, means: Floats | None = None) -> Part:
        """Return what a method found at a checkpoint as rows."""
        return cls(at.epoch, rows, found.sums, means, found.null)


@dataclass(frozen=True)
class Reported:
    """Where the rows of a table go.

    Attributes:
        setup: Settings of the statistics, clusters, randomness.
        recorder: Gets the table.
        kind: Name of the readout.
        contexts: Which contexts were reported.
        columns: What further columns mean.
    """

    setup: NetworkSetup
    recorder: Recorder
    kind: str
    contexts: Rows
    columns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, at: At, columns: Mapping[str, str]) -> Reported:
        """Return where rows go that were measured at a checkpoint (the last one)."""
        return cls(at.setup, at.recorder, at.kind, at.rows, columns)


def effects(
    to: Reported,
    parts: Sequence[Part],
    *,
    name: str = "effects",
    what: str,
    evidence: Evidence = Evidence.INTERVENTIONAL,
    bounds: Bounds | None = None,
    divergence: Bounds | None = AT_LEAST_0,
    largest: bool = False,
) -> pd.DataFrame:
    """Hand a table of effects over, one family over all checkpoints, and return it.

    Args:
        to: Where it goes.
        parts: The rows, checkpoint by checkpoint.
        name: Name of the table.
        what: What a row is, in a sentence.
        evidence: How the numbers were obtained.
        bounds: Range of the effects, to which intervals are cut.
        divergence: The same where a divergence is read: these have no test against 0, which would always reject. None
            for rows that are made of several divergences, have either sign, and are tested.
        largest: Whether p is adjusted by the largest of all rows under shared sign flips, as maps of many rows on few
            clusters need; else as ``stats.adjust`` says.
    """
    one_sided = to.kind == KL and divergence is not None
    bounds = divergence if one_sided else bounds
    parts = [_without_interchanged(part) for part in parts] if to.contexts.complete else parts
    sums = joined([part.sums for part in parts])
    null = _nulls(parts)
    table = (
        complete_table(sums, null=null).assign(established=COMPLETE, inclusion=np.nan)
        if to.contexts.complete
        else _inferred(to, sums, null, name, bounds, largest=largest, one_sided=one_sided)
    )
    if null is None:
        for column in ("null_low", "null_median", "null_high", "null_percentile"):
            table[column] = np.nan
    table["null"] = [name for part in parts for name in _null_names(part)]
    table["mean_readout"] = np.concatenate(
        [np.full(len(part.rows), np.nan) if part.means is None else part.means for part in parts]
    )
    table["readout"] = to.kind
    several = len({part.epoch for part in parts}) > 1
    own = pd.DataFrame(
        [{"epoch": part.epoch, **named(part.epoch, several), **row} for part in parts for row in part.rows]
    )
    tested = ~table["p"].isna().to_numpy()
    for warning in skew_warnings(table[tested], [_called(row) for row in own[tested].to_dict("records")], what=name):
        to.recorder.warn(warning)
    order = [column for column in COLUMNS if column in table and column not in own]
    frame = pd.concat([own, table[order]], axis=1)
    description = f"{what} Reported on {to.contexts.said}. "
    if to.contexts.complete:
        description += NOT_INFERRED
    else:
        description += f"One family of {len(frame)} rows."
    if largest and not to.contexts.complete:
        k = int(np.median(sums.n_clusters))
        description += f" Adjusted by the largest of all rows; {k} clusters reach p_adj {smallest_max_flip(k):.2g}."
    columns = {**COLUMNS, **to.columns, **(KNOWN if to.contexts.complete else {})}
    to.recorder.table(Table(name, description, evidence, frame, columns))
    return frame


def _called(row: Mapping[Any, Any]) -> str:
    """Return a row's level, with direction and checkpoint where it has them: levels come again in each."""
    return " ".join(str(row[column]) for column in ("level", "direction", "checkpoint") if column in row)


def _inferred(
    to: Reported,
    sums: ClusterSums,
    null: Floats | None,
    name: str,
    bounds: Bounds | None,
    *,
    largest: bool,
    one_sided: bool,
) -> pd.DataFrame:
    """Return the effects with intervals and p over contexts, which are a sample."""
    setup, rng = to.setup, to.setup.rng(f"{name}_table")
    table = effect_table(
        sums, setup.contexts.cluster, spec=setup.stats, rng=rng, null=null, least=LEAST_TESTED, bounds=bounds
    )
    if largest:
        untested = table["p"].isna().to_numpy()
        p_adj = max_flip(sums, rng=rng.spawn(1)[0], n_permutations=setup.stats.n_permutations)
        # p may be one of drawn flips where p_adj is of all of them: what is adjusted is never the smaller one
        table["p_adj"] = np.where(untested, np.nan, np.fmax(p_adj, table["p"]))
    if one_sided:
        table[["p", "p_adj"]] = np.nan
        table["p_method"] = DIVERGENCE
    table["established"] = established(table, level=1 - setup.stats.confidence)
    table["inclusion"] = inclusion(sums, spec=setup.stats, rng=rng)
    return table


def _without_interchanged(part: Part) -> Part:
    """Return rows without a null that rearranges the contexts themselves."""
    return replace(part, null=None) if part.null is not None and part.null.name == INTERCHANGED else part


def _null_names(part: Part) -> list[str]:
    """Return what the null of each row is made of; empty where a row has none, as where too few are like its units."""
    if part.null is None:
        return [""] * len(part.rows)
    return [part.null.name if np.isfinite(draws).any() else "" for draws in part.null.draws]


def _nulls(parts: Sequence[Part]) -> Floats | None:
    """Return the draws of all rows ``[rows, n_null]``, NaN where a row has none; None where no row has any."""
    width = max((0 if part.null is None else part.null.draws.shape[1] for part in parts), default=0)
    if not width:
        return None
    out = np.full((sum(len(part.rows) for part in parts), width), np.nan)
    start = 0
    for part in parts:
        if part.null is not None:
            out[start : start + len(part.rows), : part.null.draws.shape[1]] = part.null.draws
        start += len(part.rows)
    return out


def is_complete(frame: pd.DataFrame) -> bool:
    """Return whether the effects of a table are those of a complete population.

    Example:
        >>> is_complete(pd.DataFrame({"established": [True, False]}))
        False
    """
    return bool(frame["established"].eq(COMPLETE).any())


def n_established(frame: pd.DataFrame) -> int | None:
    """Return how many rows of a table are established; None where nothing is inferred.

    Example:
        >>> n_established(pd.DataFrame({"established": [True, False]}))
        1
    """
    return None if is_complete(frame) else int(frame["established"].sum())


def named(epoch: int, several: bool) -> dict[str, str]:
    """Return the name of a checkpoint as a column, where there are several."""
    return {"checkpoint": f"epoch {epoch}"} if several else {}


def summed_up(to: Reported, frame: pd.DataFrame, **custom: Any) -> Aggregates:
    """Keep the headline, the largest effect of the last checkpoint, as metrics, and return the aggregates.

    Args:
        to: Where it goes.
        frame: The canonical table.
        custom: Further entries of the aggregates.
    """
    to.recorder.diagnose(n_contexts_tested=len(to.contexts.reported))
    last = frame[frame["epoch"] == frame["epoch"].max()]
    known = last[last["mean_delta"].notna()]
    if not len(known):
        return Aggregates(n_samples=len(to.contexts.reported), n_conditions=len(frame), custom=custom)
    row = known.iloc[largest_size(to.recorder, "largest_effect", known) or 0]
    n = n_established(known)
    if n is not None:
        to.recorder.metric("n_established", float(n))
    inferred = {"n_established": n, "p_adj_family": "table"} if n is not None else {"population": COMPLETE}
    return Aggregates(
        mean_delta=float(row["mean_delta"]),
        std_delta=float(row["std_delta"]),
        n_samples=len(to.contexts.reported),
        n_conditions=len(frame),
        custom={
            "readout": to.kind,
            "headline_level": str(row["level"]),
            "n_tested": int(known["p"].notna().sum()),
            "split": to.contexts.said,
            "n_fitted_on": len(to.contexts.fit),
            **inferred,
            **custom,
        },
    )
