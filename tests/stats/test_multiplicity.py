"""Adjusted p-values against statsmodels, and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from paribus.stats.multiplicity import adjust, together

NAMES = {"bh": "fdr_bh", "holm": "holm"}


@pytest.mark.parametrize("method", ["bh", "holm"])
@settings(deadline=None, max_examples=40)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_agrees_with_statsmodels(method, p):
    assert adjust(p, method) == pytest.approx(multipletests(p, method=NAMES[method])[1], abs=1e-12)


def test_untested_rows_do_not_count_in_the_family():
    adjusted = adjust([0.01, np.nan, 0.04], "holm")
    assert adjusted[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(adjusted[1])
    assert np.isnan(adjust([np.nan, np.nan])).all()


def test_wrong_requests_are_refused():
    with pytest.raises(ValueError, match="'bh' or 'holm'"):
        adjust([0.1], "none")
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        adjust([1.2])


@pytest.mark.parametrize("method", ["bh", "holm"])
@settings(deadline=None, max_examples=30)
@given(p=st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_order_is_kept_and_nothing_gets_smaller(method, p):
    adjusted = adjust(p, method)
    assert (adjusted >= np.array(p)).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


@pytest.mark.parametrize(("rows", "level"), [(0, 0.05), (1, 0.05), (2, 0.025), (50, 0.001)])
def test_intervals_that_hold_together_share_the_level(rows, level):
    assert 1 - together(0.95, rows) == pytest.approx(level)
