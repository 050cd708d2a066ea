"""Figures as wide as a column of print: nothing lies over anything or is cut off, nulls and bands are told apart."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from paribus.figures import style
from paribus.figures.draw import draw
from paribus.figures.save import png_bytes
from paribus.results.schema import BANDS, Figure

COLUMN = 8.5 / 2.54
RNG = np.random.default_rng(0)
X = np.tile(np.arange(-3, 4.0), 4)
Y = RNG.normal(0.6, 0.1, 28)
CURVES = pd.DataFrame(
    {
        "alpha": X, "y": Y, "ci_low": Y - 0.05, "ci_high": Y + 0.05, "null_low": 0.45, "null_high": 0.55,
        "direction": np.repeat(["between_domain_pc", "mean_difference"] * 2, 7), "epoch": np.repeat([9, 15], 14),
    }
)  # fmt: skip
NAMES = [f"special_charge_up_{rung} + swim_speed_up_{rung}" for rung in (3, 6, 12, 15, 21, 29)]
ROWS = pd.DataFrame({"level": NAMES, "mean_delta": np.linspace(-1, 1, 6), "n": 1200})
ROWS = ROWS.assign(ci_low=ROWS["mean_delta"] - 0.2, ci_high=ROWS["mean_delta"] + 0.2, null_low=-0.3, null_high=0.3)
CELLS = pd.DataFrame([(a, b, float(i)) for i, (a, b) in enumerate(itertools.product(range(0, 60, 6), NAMES))])
CELLS.columns = ["x", "y", "value"]
PAIRS = pd.DataFrame([(a, b, 0.5) for a, b in itertools.combinations(NAMES, 2)], columns=["a", "b", "value"])
LATENTS = [f"latent {37 * k} (1a2b3c4{m})" for m in "de" for k in range(12)]
MANY = pd.DataFrame([(a, b, float(np.cos(i))) for i, (a, b) in enumerate(itertools.combinations(LATENTS, 2))],
                    columns=["a", "b", "value"])  # fmt: skip
MODELS = pd.DataFrame([(f"token_influence_sweep: {a}{k}_power_up to 1", m, 1.0 + k)
                       for k in range(12) for a in ("sub", "special", "main") for m in "abcde"],
                      columns=["level", "model", "n_driven"])  # fmt: skip
DECLARED = {
    "curve": (Figure("f", "curve", ("t",), {"x": "alpha", "y": "y", "group": "direction", "panel": "epoch", **BANDS},
                     "Accuracy along the domain's direction", options={"null_label": "random directions"}), CURVES),
    "forest": (Figure("f", "forest", ("t",), {"label": "level", "value": "mean_delta", "n": "n", **BANDS},
                      "Adding and removing abilities"), ROWS),
    "bars": (Figure("f", "bars", ("t",), {"label": "level", "value": "mean_delta", **BANDS}, "Effect of a set"), ROWS),
    "heatmap": (Figure("f", "heatmap", ("t",), {"x": "x", "y": "y", "value": "value"}, "Two families"), CELLS),
    "interaction_matrix": (Figure("f", "interaction_matrix", ("t",), {"a": "a", "b": "b", "value": "value"}, "Pairs"),
                           PAIRS),
    "many pairs": (Figure("f", "interaction_matrix", ("t",), {"a": "a", "b": "b", "value": "value"}, "Features"), MANY),
    "bars of models": (Figure("f", "bars", ("t",), {"label": "level", "value": "n_driven", "group": "model"}, "Factors",
                              options={"max_rows": 30}), MODELS),
    "dose_response": (Figure("f", "dose_response", ("t",), {"x": "alpha", "y": "y", **BANDS}, "Every rung"),
                      CURVES.iloc[:7]),
    "histogram": (Figure("f", "histogram", ("t",), {"value": "y"}, "Could this be chance?",
                         options={"observed": 0.9, "p": 0.01}), CURVES),
    "strip": (Figure("f", "strip", ("t",), {"x": "direction", "y": "y"}, "One point per seed"), CURVES),
}  # fmt: skip


def shown(ax):
    """Return the texts of a panel that are drawn: ticks outside its limits are not."""
    yield from (ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label, *ax.texts)
    yield from ax.get_legend().get_texts() if ax.get_legend() else ()
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        yield from (tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high)


def texts(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    every = [*figure.texts, figure._suptitle, *(text for legend in figure.legends for text in legend.get_texts())]
    every += [text for ax in figure.axes for text in shown(ax)]
    drawn = [text for text in every if text is not None and text.get_visible() and text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in dict.fromkeys(drawn)]
    return [(text, box) for text, box in boxes if box.width > 1]


@pytest.mark.parametrize("width", [None, COLUMN], ids=["free", "column"])
@pytest.mark.parametrize("kind", DECLARED)
def test_no_label_lies_over_another_or_is_cut_off(kind, width):
    declared, table = DECLARED[kind]
    figure = draw(declared, {"t": table}, about="digits_scanners, fc.input, small_cnn (run 1a2b3c4d)", width=width)
    if width is not None:
        assert figure.get_figwidth() == pytest.approx(width)
    with style.styled(width):
        found = texts(figure)
    page = figure.bbox
    turned = [text.get_rotation() % 90 for ax in figure.axes for text in ax.get_xticklabels()]
    for text, box in found:
        assert box.x0 > -2 and box.x1 < page.x1 + 2 and box.y0 > -2 and box.y1 < page.y1 + 2, f"cut off: {text!r}"
    if any(turned):  # the boxes of slanted texts overlap where the texts do not
        return
    for (one, a), (other, b) in itertools.combinations(found, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across < 2 or down < 2, f"{one!r} lies over {other!r}"


def test_panels_by_epoch_say_so():
    declared, table = DECLARED["curve"]
    made = draw(declared, {"t": table})
    assert [ax.get_title(loc="left") for ax in made.axes] == ["epoch 9", "epoch 15"]


@pytest.mark.parametrize("kind", ["curve", "forest", "bars", "dose_response"])
def test_a_null_is_hatched_and_named(kind):
    declared, table = DECLARED[kind]
    made = draw(declared, {"t": table})
    patches = [p for ax in made.axes for p in (*ax.collections, *ax.patches) if p.get_hatch() == style.NULL_HATCH]
    assert patches
    legends = [made.axes[0].get_legend(), *made.legends, *(ax.get_legend() for ax in made.axes)]
    words = [text.get_text() for legend in legends if legend for text in legend.get_texts()]
    assert any("null" in word or "random" in word for word in words)


def test_rounding_is_not_drawn_at_full_height():
    noise = CURVES.assign(y=RNG.normal(0, 1e-9, 28)).iloc[:7]
    declared = Figure("f", "curve", ("t",), {"x": "alpha", "y": "y"}, "")
    low, high = draw(declared, {"t": noise}).axes[0].get_ylim()
    assert high - low >= 0.1
    small = CURVES.assign(y=0.8 + RNG.normal(0, 0.002, 28)).iloc[:7]
    wide = Figure("f", "curve", ("t",), {"x": "alpha", "y": "y"}, "", options={"least_span": 0.1})
    low, high = draw(wide, {"t": small}).axes[0].get_ylim()
    assert high - low == pytest.approx(0.1)


def test_bands_differ_where_colour_is_lost():
    declared, table = DECLARED["curve"]
    made = draw(declared, {"t": table.assign(epoch=9)})
    edges = {line.get_linestyle() for line in made.axes[0].lines if line.get_linewidth() < 0.8}
    assert len(edges) == 2


def test_names_that_differ_read_differently():
    declared, table = DECLARED["bars of models"]
    for width in (None, COLUMN):
        (ax,) = draw(declared, {"t": table}, width=width).axes
        names = [text.get_text() for text in ax.get_yticklabels()]
        assert len(set(names)) == len(names) == 30
        assert all(name.endswith("_power_up to 1") for name in names)
        assert all(float(tick) == int(tick) for tick in ax.get_xticks()), "features are counted"


def test_a_long_beginning_that_says_the_least_is_what_is_cut():
    names = [f"{kind}: ink_{what}_up {k} AP" for kind in ("family_1d_sweep", "token_influence_sweep")
             for what in ("recovery", "resistance") for k in (12, 15)]  # fmt: skip
    for name, short in zip(names, style.shorten_all(names, 30), strict=True):
        assert len(short) <= 30 and short.endswith(name.split("ink_")[1])
    assert style.shorten_all(["short", "also short"], 30) == ["short", "also short"]
    assert style.shorten_all(["a" * 40, "a" * 41], 30) == ["a" * 40, "a" * 41], "no cut tells them apart"


def test_a_matrix_of_shares_has_no_negative_scale_and_signs_show_without_colour():
    declared, table = DECLARED["many pairs"]
    signed = draw(declared, {"t": table}, width=COLUMN)
    negative = {(a, b) for a, b, value in table.itertuples(index=False) if value <= -0.25}
    assert signed.axes[0].lines and len(signed.axes[0].lines) <= 2 * len(negative)
    assert "A dash: below −0.25" in signed._supxlabel.get_text()
    shares = table.assign(value=table["value"].abs().where(table["a"] != LATENTS[0]))
    declared = replace(declared, options={"diverging": False, "reach": 1.0, "max_rows": 50})
    made = draw(declared, {"t": shares})
    assert made.axes[0].images[0].get_clim() == (0.0, 1.0) and not made.axes[0].lines
    names = [text.get_text() for text in made.axes[0].get_yticklabels()]
    assert LATENTS[0] not in names and len(names) == 23, "nothing is known of it"
    assert "1 without any value" in made._supxlabel.get_text()


def test_a_drawing_is_the_same_again():
    declared, table = DECLARED["forest"]
    assert png_bytes(draw(declared, {"t": table}, width=COLUMN)) == png_bytes(
        draw(declared, {"t": table}, width=COLUMN)
    )
