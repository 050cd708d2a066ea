"""Adjusted p-values against statsmodels, and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from paribus.stats.multiplicity import adjust, bh_confidences, holm_confidences, together

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


@pytest.mark.parametrize(("method", "confidences"), [("bh", bh_confidences), ("holm", holm_confidences)])
@settings(deadline=None, max_examples=60)
@given(p=st.lists(st.floats(0, 0.2) | st.just(np.nan), min_size=1, max_size=12))
def test_an_interval_leaves_0_out_exactly_where_the_adjusted_p_is_within_the_level(method, confidences, p):
    """Also where none is rejected: there an interval is as wide as it takes for the smallest p."""
    found, adjusted, tested = confidences(p, 0.95), adjust(p, method), ~np.isnan(p)
    assert np.isnan(found[~tested]).all()
    # at the very edge rounding decides
    edge = np.isclose(p, 1 - found, rtol=1e-9) | np.isclose(adjusted, 0.05, rtol=1e-9)
    assert ((p <= 1 - found) == (adjusted <= 0.05))[tested & ~edge].all()
    if tested.any() and not (adjusted <= 0.05).any():
        assert found[tested].max() == pytest.approx(1 - 0.05 / tested.sum())
