"""Which cells are the same input: each is run once, like ones in one batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from paribus.arrays import Ints
from paribus.engine.inputs import unique_rows
from paribus.measure.subject import Subject


def distinct(subject: Subject, cells: Any, ctx: Ints | None) -> tuple[Ints, Ints]:
    """Return the distinct inputs of flat cells ``[m]`` in the order they are run, and each cell's place among them.

    Args:
        subject: Says which cells are equal, and in which order they are run.
        cells: Flat cells.
        ctx: Context of each cell, where cells of different contexts count as different.

    Example:
        >>> import torch
        >>> from paribus.measure.contexts import Contexts
        >>> from paribus.measure.subject import ArraySubject
        >>> subject = ArraySubject(Contexts(inputs=torch.tensor([[1.0], [2.0], [1.0]])))
        >>> first, inverse = distinct(subject, subject.cells(np.arange(3)), None)
        >>> len(first), (inverse[0] == inverse[2]).item()
        (2, True)
    """
    m = len(cells.ok)
    keys = subject.keys(cells)
    if keys is not None and ctx is not None:
        keys = np.concatenate([keys, ctx[:, None].astype(keys.dtype)], axis=1)
    first, inverse = (np.arange(m), np.arange(m)) if keys is None else unique_rows(keys)
    cost = subject.cost(cells[first])
    if cost is None:
        return np.asarray(first, np.int64), np.asarray(inverse, np.int64)
    order = np.argsort(cost, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return np.asarray(first[order], np.int64), place[inverse]
