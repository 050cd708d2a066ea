"""One pass over contexts for all features together; only summary numbers of each are held, never all activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paribus.arrays import Bools, Floats, Ints, ShortInts, Singles
from paribus.experiments.any._features import Surveyed
from paribus.experiments.base import Recorder
from paribus.features.columns import Latents
from paribus.measure.distinct import distinct
from paribus.measure.executor import Executor
from paribus.measure.factor import InputFactor
from paribus.stats.clusters import by_size

MOST_HELD = 1 << 22
"""Activations that are held at once: cells by features."""
MOST_ENCODED = 1 << 21
"""Activations that are computed at once: positions by features."""
AT_ONCE = 1024
"""Features that are read at once, where the others need not be known."""


@dataclass(frozen=True, eq=False)
class Seen:
    """All features in some cells.

    Attributes:
        pooled: Activation, the mean over positions as they count ``[m, F]``.
        fires: Share of positions with an activation above 0 ``[m, F]``; None unless asked for.
        peak: Largest activation among the positions that count ``[m, F]``; None unless asked for.
        where: Position of it ``[m, F]``.
    """

    pooled: Singles
    fires: Singles | None = None
    peak: Singles | None = None
    where: ShortInts | None = None


class FeaturePass:
    """Reads all features of a place in cells, a bounded number of them at a time.

    Attributes:
        most_cells: The most cells whose features are held at once.
    """

    def __init__(self, executor: Executor, at: Surveyed) -> None:
        """Take the network and the features."""
        self.executor, self.at = executor, at
        self.n_features = at.columns.size
        self.most_cells = max(8, MOST_HELD // self.n_features)

    def seen(self, cells: Any, *, peaks: bool) -> Seen:
        """Return all features in flat checked cells ``[m]``.

        Args:
            cells: The cells, at most ``most_cells`` or one context's.
            peaks: Whether firing and peaks are wanted too.
        """
        m = len(cells.ok)
        parts: dict[int, tuple[slice, Seen]] = {}

        def visit(batch: slice, h: Tensor, weight: Tensor) -> None:
            parts[batch.start] = (batch, self._read(h, weight, peaks=peaks))

        self.executor.visit_positions(cells, self.at.site, visit)
        whole = _empty(m, self.n_features, peaks=peaks)
        for batch, part in parts.values():
            for name in ("pooled", "fires", "peak", "where"):
                into = getattr(whole, name)
                if into is not None:
                    into[batch] = getattr(part, name)
        return whole

    def _read(self, h: Tensor, weight: Tensor, *, peaks: bool) -> Seen:
        """Return the features of vectors ``[b, positions, d]``; of their mean where that is what the features read."""
        if isinstance(self.at.columns, Latents) and not self.at.columns.sae.by_position and h.shape[1] > 1:
            h, weight = (h * weight[:, :, None]).sum(1, keepdim=True), weight.sum(1, keepdim=True)
        b, size, _ = h.shape
        found = _empty(b, self.n_features, peaks=peaks)
        columns = self.at.columns
        competing = isinstance(columns, Latents) and columns.sae.top_k is not None
        width = self.n_features if competing else min(AT_ONCE, self.n_features)
        step = max(1, MOST_ENCODED // (size * width))
        like = columns.sae.encoder.weight if isinstance(columns, Latents) else h
        for first in range(0, self.n_features, width):
            some = torch.arange(first, min(first + width, self.n_features), device=h.device)
            into = slice(first, first + len(some))
            for start in range(0, b, step):
                rows = slice(start, min(start + step, b))
                f = columns.read(h[rows].flatten(0, 1).to(like), some)[0].reshape(-1, size, len(some))
                share = weight[rows].to(f)[:, :, None]
                found.pooled[rows, into] = (f * share).sum(1).cpu().numpy()
                if found.fires is not None and found.peak is not None and found.where is not None:
                    found.fires[rows, into] = ((f > 0).to(f) * share).sum(1).cpu().numpy()
                    top = f.masked_fill(share <= 0, -torch.inf).max(1)
                    found.peak[rows, into] = top.values.cpu().numpy()
                    found.where[rows, into] = top.indices.cpu().numpy()
        return found


def _empty(m: int, n_features: int, *, peaks: bool) -> Seen:
    pooled = np.empty((m, n_features), np.float32)
    if not peaks:
        return Seen(pooled)
    return Seen(pooled, np.empty_like(pooled), np.empty_like(pooled), np.empty((m, n_features), np.int32))


@dataclass(frozen=True, eq=False)
class Firing:
    """All features in the contexts as they are.

    Attributes:
        rate: How often each fires ``[F]``: the mean over contexts of the share of positions.
        mean: Mean activation ``[F]``.
        sd: Its standard deviation over contexts ``[F]``.
        largest: Largest activation at any position ``[F]``.
        top: Contexts in which each peaks highest ``[F, k]``, the highest first.
        peaks: The activation there ``[F, k]``.
        where: The position ``[F, k]``.
    """

    rate: Floats
    mean: Floats
    sd: Floats
    largest: Floats
    top: Ints
    peaks: Singles
    where: ShortInts


def firing(features: FeaturePass, rows: Ints, n_top: int, recorder: Recorder) -> Firing:
    """Return how all features behave in contexts ``rows`` as they are."""
    f = features.n_features
    sums = np.zeros((3, f))
    kept = min(n_top, len(rows))
    peaks, top = np.full((f, kept), -np.inf, np.float32), np.zeros((f, kept), np.int64)
    where = np.zeros((f, kept), np.int32)
    blocks = [rows[some] for some in by_size(len(rows), features.most_cells)]
    for some in recorder.progress(blocks, total=len(blocks), description="as they are"):
        seen = features.seen(features.executor.subject.cells(some), peaks=True)
        assert seen.fires is not None and seen.peak is not None and seen.where is not None
        wide = seen.pooled.astype(np.float64)
        sums += np.stack([seen.fires.sum(0, dtype=np.float64), wide.sum(0), (wide**2).sum(0)])
        every = np.concatenate([peaks, seen.peak.T], axis=1)
        named = np.concatenate([top, np.broadcast_to(some, (f, len(some)))], axis=1)
        place = np.concatenate([where, seen.where.T], axis=1)
        order = np.argsort(-every, axis=1, kind="stable")[:, :kept]
        peaks, top, where = (np.take_along_axis(part, order, 1) for part in (every, named, place))
    n = len(rows)
    mean = sums[1] / n
    spread = np.maximum(sums[2] - n * mean**2, 0.0)
    spread[spread <= 1e-10 * sums[2]] = 0.0
    sd = np.sqrt(spread / max(1, n - 1))
    return Firing(sums[0] / n, mean, sd, peaks[:, 0].astype(np.float64), top, peaks, where)


@dataclass(frozen=True, eq=False)
class Driven:
    """What single factors of the inputs do to all features.

    Attributes:
        factors: Name of the factor of each effect ``[L]``.
        levels: Its level.
        baselines: What it is compared with.
        sums: Differences of the activation to the factor's baseline in the same context, by group ``[F, L, G]``.
        counts: How many contexts ``[L, G]``.
    """

    factors: tuple[str, ...]
    levels: tuple[str, ...]
    baselines: tuple[str, ...]
    sums: Floats
    counts: Floats


def driven(
    features: FeaturePass, factors: Sequence[InputFactor], rows: Ints, group: Ints, recorder: Recorder
) -> Driven:
    """Return what every level of some factors does to all features in contexts ``rows``.

    Args:
        features: Reads them.
        factors: The factors; the first level of each is its baseline.
        rows: Which contexts.
        group: Group of each context of the subject ``[n]``.
        recorder: Shows progress and counts what is not legal.
    """
    n_groups = int(group[rows].max()) + 1
    starts = np.cumsum([0, *(factor.n_levels - 1 for factor in factors)])
    sums = np.zeros((features.n_features, int(starts[-1]), n_groups))
    counts = np.zeros((int(starts[-1]), n_groups))
    work = [
        (factor, start, rows[some])
        for factor, start in zip(factors, starts[:-1].tolist(), strict=True)
        for some in by_size(len(rows), max(1, features.most_cells // factor.n_levels))
    ]
    for factor, start, some in recorder.progress(work, total=len(work), description="factors"):
        values, ok = _at_levels(features, factor, some, recorder)
        for level in range(1, factor.n_levels):
            both = np.flatnonzero(ok[0] & ok[level])
            if not len(both):
                continue
            member = np.eye(n_groups)[group[some[both]]]
            counts[start + level - 1] += member.sum(0)
            change = _difference(values[level, both], values[0, both], features.executor.rounding)
            sums[:, start + level - 1] += change.T @ member
    pairs = [(factor, label) for factor in factors for label in factor.labels[1:]]
    return Driven(
        tuple(factor.name for factor, _ in pairs),
        tuple(label for _, label in pairs),
        tuple(factor.labels[0] for factor, _ in pairs),
        sums,
        counts,
    )


def _at_levels(features: FeaturePass, factor: InputFactor, some: Ints, recorder: Recorder) -> tuple[Singles, Bools]:
    """Return all features at every level ``[levels, b, F]``, and which cells are legal ``[levels, b]``."""
    subject = features.executor.subject
    cells = subject.enforce(factor.edit(subject.cells(some)), recorder)
    chosen = cells[cells.ok]
    values = np.zeros((*cells.shape, features.n_features), np.float32)
    if cells.ok.any():
        first, inverse = distinct(subject, chosen, None)
        values[cells.ok] = features.seen(chosen[first], peaks=False).pooled[inverse]
    return values, cells.ok


def _difference(one: Singles, other: Singles, rounding: float) -> Floats:
    """Return differences ``[b, F]``; those within rounding of the number format are 0."""
    size = np.maximum(np.abs(one), np.abs(other))
    size = np.maximum(size, size.mean(0, keepdims=True))
    change = one.astype(np.float64) - other
    change[np.abs(change) <= rounding * size] = 0.0
    return change


def chunks(n: int, per_row: int, most: int = 1 << 22) -> list[slice]:
    """Return ranges of rows of which ``per_row`` numbers each are held at once."""
    return by_size(n, max(1, most // max(1, per_row)))
