"""The comparison over runs: a mean stands only where every run of its group was measured; nothing is interpolated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paribus.figures.draw import draw
from paribus.results.schema import Figure

COLUMNS = {
    "condition": "training", "n_train": "n_train", "seed": "seed", "epoch": "epoch", "raw": "raw", "ablated": "ablated",
    "alpha": "alpha", "accuracy": "accuracy",
}  # fmt: skip
THICK = 2.0


def made(epochs_of, **options):
    """Draw runs of one condition, each measured at epochs of its own; the value is the seed's share of 1 / 10."""
    rows = [
        {"training": "standard", "n_train": 600, "seed": seed, "epoch": epoch, "raw": 0.5 + seed / 10 + epoch / 1000,
         "ablated": 0.4 + seed / 10, "alpha": float(epoch), "accuracy": 0.5 + seed / 10}
        for seed, epochs in enumerate(epochs_of) for epoch in epochs
    ]  # fmt: skip
    figure = Figure("c", "intervention_comparison", ("t", "t"), COLUMNS, "t", options=options)
    return draw(figure, {"t": pd.DataFrame(rows)})


def thick(ax):
    """The lines of the mean."""
    return [line for line in ax.lines if line.get_linewidth() >= THICK]


def drawn_means(ax):
    """Every mean of the raw accuracy: joined, or by itself (a filled square)."""
    squares = [line for line in ax.lines if line.get_marker() == "s" and line.get_markersize() > 5]
    found = {}
    for line in (thick(ax)[0], *(each for each in squares if each.get_markerfacecolor() != "white")):
        x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
        found |= {float(a): float(b) for a, b in zip(x, y, strict=True) if np.isfinite(b)}
    return found


def test_the_mean_stands_only_where_every_run_was_measured():
    top = made([(1, 5, 20, 40), (1, 8, 20, 40), (1, 20, 30, 40), (1, 20, 40)]).axes[0]
    expected = {e: 0.5 + 0.15 + e / 1000 for e in (1.0, 20.0, 40.0)}
    assert drawn_means(top) == pytest.approx(expected)


def test_the_mean_is_joined_only_where_no_run_was_measured_in_between():
    top = made([(1, 2, 20, 40), (1, 2, 30, 40), (1, 2, 40), (1, 2, 40)]).axes[0]
    y = np.asarray(thick(top)[0].get_ydata(), float)
    # Epochs 1, 2 (joined), 20 and 30 (not all runs: a gap), 40 (by itself, so it gets a mark of its own).
    assert np.isfinite(y).tolist() == [True, True, False, False, False]
    assert set(drawn_means(top)) == {1.0, 2.0, 40.0}


def test_the_band_does_not_pass_over_epochs_that_some_runs_lack():
    top = made([(1, 2, 20, 40), (1, 2, 30, 40), (1, 2, 40), (1, 2, 40)]).axes[0]
    band = top.collections[0]
    assert max(vertex[0] for path in band.get_paths() for vertex in path.vertices) == 2.0
    # At epoch 40, by itself, the intervals are bars: raw and ablated.
    bars = [line for line in top.lines if len(line.get_xdata()) == 2 and len(set(line.get_xdata())) == 1]
    assert [line.get_xdata()[0] for line in bars] == [40.0, 40.0]


def test_runs_measured_at_different_epochs_are_drawn_as_runs():
    top = made([(1, 5), (2, 6), (3, 7), (4, 8)]).axes[0]
    assert not thick(top) and not top.collections
    assert len(top.lines) == 4 * 2


@pytest.mark.parametrize(("seeds", "band"), [(3, False), (4, True)])
def test_there_is_no_band_from_fewer_than_four_runs(seeds, band):
    figure = made([(1, 5, 9)] * seeds)
    assert bool(figure.axes[0].collections) == band
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert ("95 % (t, over runs)" in legend) == band and ("95 % (t, over runs), ablated" in legend) == band


def test_raw_and_ablated_bands_differ_in_more_than_shade():
    raw, ablated = made([(1, 5, 9)] * 4).axes[0].collections[:2]
    assert raw.get_hatch() is None and ablated.get_hatch()
