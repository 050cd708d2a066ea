"""Rows that cannot be read: up to one in a hundred is left out and named, more stop the load."""

from __future__ import annotations

import pytest

from paribus.errors import DataError
from paribus.subjects.builds.rows import Rows


@pytest.mark.parametrize(("n", "bad", "stops"), [(100, 0, False), (100, 1, False), (100, 2, True), (99, 1, True)])
def test_one_in_a_hundred_is_tolerated(n, bad, stops):
    rows = Rows("builds.csv", n=n)
    for line in range(bad):
        rows.reject(f"line {line + 2}", "no weapon")
    if stops:
        with pytest.raises(DataError, match=f"builds.csv: {bad} of {n} rows cannot be read .*line 2: no weapon"):
            rows.finish()
    else:
        assert rows.finish() == tuple(f"line {line + 2}: no weapon" for line in range(bad))


def test_ten_are_listed_and_a_thousand_kept():
    rows = Rows("builds.csv", n=1200)
    for line in range(1100):
        rows.reject(f"line {line}", "x")
    assert (len(rows.bad), rows.n_bad) == (1000, 1100)
    with pytest.raises(DataError) as refused:
        rows.finish()
    assert "line 9: x" in str(refused.value) and "line 10: x" not in str(refused.value)
