"""Support: in how many contexts all conditions that a row compares are legal, counted without running the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.measure.design import Design
from paribus.measure.executor import Executor


@dataclass(frozen=True)
class Support:
    """Contexts that rows can rest on, counted as far as was asked.

    Attributes:
        n: Contexts of each row ``[rows]``.
        n_clusters: Clusters of the contexts that support any row.

    Example:
        >>> Support(np.array([40, 3]), n_clusters=12).n_with(30)
        1
    """

    n: Ints
    n_clusters: int

    def n_with(self, least: int) -> int:
        """Return how many rows rest on ``least`` contexts or more."""
        return int((self.n >= least).sum())


def support(
    executor: Executor,
    design: Design,
    weights: Floats,
    rows: Ints,
    *,
    enough: int,
    enough_clusters: int = 1,
    about: Callable[[Ints], Bools] | None = None,
) -> Support:
    """Count the contexts of each row, and stop once every row has enough of them.

    Args:
        executor: Knows what is legal.
        design: The conditions.
        weights: What each row compares ``[rows, conditions]``: those whose weight is not 0.
        rows: Which contexts.
        enough: Contexts after which those of a row need not be counted.
        enough_clusters: Clusters after which they need not be counted.
        about: Which of contexts ``[b]`` each row is about ``[rows, b]``; None: all.

    Example:
        >>> import torch
        >>> from paribus.measure import ArraySubject, Contexts, stack
        >>> executor = Executor(torch.nn.Identity(), ArraySubject(Contexts(inputs=torch.zeros(4, 1))))
        >>> design = Design(lambda cells: stack([cells, cells.only(cells.ctx < 3)]), n_levels=2)
        >>> support(executor, design, np.array([[-1.0, 1.0]]), np.arange(4), enough=30)
        Support(n=array([3]), n_clusters=3)
    """
    used = weights.reshape(len(weights), design.n_levels, -1).any(axis=2).astype(np.float32)
    n = np.zeros(len(weights), np.int64)
    clusters: set[int] = set()
    for columns, legal in executor.legal(design, rows):
        missing = used @ (~legal).astype(np.float32)
        held = missing == 0
        if about is not None:
            held &= about(columns)
        n += held.sum(axis=1)
        clusters.update(executor.subject.cluster[columns[held.any(axis=0)]].tolist())
        if (n >= enough).all() and len(clusters) >= enough_clusters:
            break
    return Support(n, len(clusters))
