"""Which job a free worker gets."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from paribus.sweep.workers.pool import Pool, Worker
from paribus.sweep.workers.worker import Order


def order(number, *, last=False, waits=False):
    return Order(number, (f"seed={number}",), waits, last)


def test_jobs_that_nobody_is_at_come_first_and_comparisons_last():
    pool = Pool(2, None, Path("x"), lambda number: {})
    waiting, busy = deque([order(0), order(1, last=True)]), deque([order(2)])
    assert pool._next(waiting, busy) == order(0)
    pool._workers.append(Worker(0, None, order(0)))
    assert pool._next(waiting, busy) == order(2, waits=True), "it is waited for before the comparison begins"
    pool._workers.append(Worker(1, None, order(2, waits=True)))
    assert pool._next(waiting, busy) is None
    pool._workers[0].order = None
    assert pool._next(waiting, busy) is None
    pool._workers[1].order = None
    assert pool._next(waiting, busy) == order(1, last=True) and not waiting
