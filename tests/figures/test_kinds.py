"""Every kind of drawing: realistic tables draw what they say, and awkward ones draw too."""

from __future__ import annotations

import importlib
import io
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from PIL import Image

import paribus.figures
from paribus.figures import _texts, style
from paribus.figures.draw import draw, kinds
from paribus.figures.save import pdf_bytes, png_bytes
from paribus.figures.style import DPI, styled
from paribus.results.schema import Figure

N = 6
NUMBERS = {
    "x": np.arange(N) - 2.0, "y": np.linspace(-0.2, 0.9, N), "low": np.linspace(-0.3, 0.8, N),
    "high": np.linspace(-0.1, 1.0, N), "null": np.zeros(N), "null_low": np.full(N, -0.1), "null_high": np.full(N, 0.1),
    "n": np.arange(N) * 100 + 1, "p": np.linspace(0.0001, 0.5, N), "share": np.linspace(0.1, 0.9, N),
    "name": [f"family_{i}" for i in range(N)], "other": [f"family_{i + 1}" for i in range(N)],
    "group": ["a", "b"] * (N // 2), "panel": ["left"] * (N // 2) + ["right"] * (N // 2),
    "support": ["own", "prefix"] * (N // 2),
    "seed": np.arange(N) // 2,
}  # fmt: skip
TABLE = pd.DataFrame(NUMBERS)
INTERVAL = {"low": "low", "high": "high"}
NULL = {"null": "null", "null_low": "null_low", "null_high": "null_high"}
COLUMNS = {
    "curve": {"x": "x", "y": "y", "group": "group", **INTERVAL, **NULL},
    "heatmap": {"x": "name", "y": "x", "value": "y", "n": "n", "panel": "panel"},
    "forest": {"label": "name", "value": "y", "n": "n", "p": "p", **INTERVAL, **NULL},
    "bars": {"label": "name", "value": "y", "group": "group", **INTERVAL, **NULL},
    "histogram": {"value": "y", "group": "group"},
    "scatter": {"x": "x", "y": "y", "label": "name", "group": "group", "size": "n", **INTERVAL},
    "strip": {"x": "group", "y": "y", "pair": "seed", "panel": "panel"},
    "interaction_matrix": {"a": "name", "b": "other", "value": "y", "p": "p", "label": "support"},
    "dose_response": {"x": "x", "y": "y", "firing": "share", "n": "n", "support": "support", **INTERVAL, **NULL},
    "intervention_comparison": {
        "condition": "group", "n_train": "n", "seed": "seed", "epoch": "x", "raw": "share", "ablated": "y",
        "alpha": "x", "accuracy": "share",
    },
}  # fmt: skip


def figure(kind, columns=None, **options):
    tables = ("t", "t") if kind == "intervention_comparison" else ("t",)
    return Figure(kind, kind, tables, columns or COLUMNS[kind], f"A {kind}", options=options)


def drawn(kind, frame, columns=None, **options):
    made = draw(figure(kind, columns, **options), {"t": frame})
    made.set_dpi(50)
    with styled():
        FigureCanvasAgg(made).draw()
    return made


def texts(made):
    found = [t.get_text() for ax in made.axes for t in (*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels())]
    for ax in made.axes:
        legend = ax.get_legend()
        found += [t.get_text() for t in legend.get_texts()] if legend else []
    small = getattr(made, "_supxlabel", None)
    return [*found, *(["" if small is None else small.get_text()])]


def test_every_kind_is_tested_here_and_described_in_the_room():
    assert set(kinds()) == set(COLUMNS)
    described = paribus.figures.__doc__
    for kind in kinds():
        module = importlib.import_module(f"paribus.figures.{kind}")
        assert re.search(rf"^{kind} ", described, re.M), kind
        for name in (*module.REQUIRED, *module.OPTIONAL, *module.OPTIONS):
            assert re.search(rf"\b{name}\b", described), (kind, name)


@pytest.mark.parametrize("kind", sorted(COLUMNS))
def test_a_realistic_table_is_drawn_with_its_title(kind):
    made = drawn(kind, TABLE)
    assert made._suptitle.get_text() == f"A {kind}"
    assert "no data yet" not in texts(made)
    assert any(ax.has_data() for ax in made.axes)


@pytest.mark.parametrize("kind", sorted(COLUMNS))
@pytest.mark.parametrize("what", ["no rows", "no columns", "one row", "all NaN", "some NaN and inf"])
def test_awkward_tables_are_drawn(kind, what):
    frame = {"no rows": TABLE.iloc[:0], "no columns": pd.DataFrame(), "one row": TABLE.iloc[:1]}.get(what)
    if frame is None:
        frame = TABLE.copy()
        for name in frame.select_dtypes("number").columns:
            if name not in ("x", "seed", "n"):
                frame[name] = np.nan if what == "all NaN" else frame[name].astype(float).mask(frame.index == 1, np.nan)
        if what != "all NaN":
            frame.loc[2, "y"] = np.inf
    made = drawn(kind, frame)
    if what.startswith("no "):
        assert "no data yet" in texts(made)


@pytest.mark.parametrize("kind", ["forest", "bars", "interaction_matrix", "curve", "heatmap"])
def test_hundreds_of_categories_with_long_names_are_capped_with_a_note(kind):
    n = 300
    frame = pd.DataFrame({k: np.resize(np.asarray(v, dtype=object), n) for k, v in NUMBERS.items()})
    frame = frame.infer_objects()
    frame["name"] = [f"a very long name of an ability, number {i}, that goes on and on and on" for i in range(n)]
    frame["other"] = frame["name"].shift(1, fill_value="another")
    columns = dict(COLUMNS[kind])
    if kind == "curve":
        columns["group"] = "name"
    if kind == "heatmap":
        columns = {"x": "name", "y": "x", "value": "y"}
    made = drawn(kind, frame, columns)
    assert any(" of " in text and "shown" in text for text in texts(made))
    width, height = made.get_size_inches()
    assert width <= 16 and height <= 14


@pytest.mark.parametrize("kind", sorted(COLUMNS))
def test_dollars_and_markup_in_names_are_only_text(kind):
    frame = TABLE.replace({"family_1": "$x^{", "a": "<b>$\\frac{"})
    assert drawn(kind, frame)


def test_a_curve_shows_its_points_interval_and_null():
    columns = {"x": "x", "y": "y", "low": "low", "high": "high", "null_low": "null_low", "null_high": "null_high"}
    made = drawn("curve", TABLE, columns, hline={"chance": 0.5}, null_label="random, 95 %")
    line = next(each for each in made.axes[0].lines if len(each.get_xdata()) == N)
    np.testing.assert_allclose(line.get_ydata(), TABLE["y"])
    assert len(made.axes[0].collections) == 2
    assert {"chance", "random, 95 %"} <= set(texts(made))


def test_repeated_x_are_averaged_and_said():
    frame = pd.concat([TABLE.assign(y=0.0), TABLE.assign(y=1.0)])
    made = drawn("curve", frame, {"x": "x", "y": "y"})
    assert made.axes[0].lines[0].get_ydata().tolist() == [0.5] * N
    assert any("their mean is drawn" in text for text in texts(made))


def test_groups_differ_in_more_than_colour():
    made = drawn("curve", TABLE, {"x": "x", "y": "y", "group": "group"})
    looks = {(each.get_linestyle(), each.get_marker()) for each in made.axes[0].lines}
    assert len(looks) == 2


def test_cells_that_were_not_measured_stay_blank():
    frame = pd.DataFrame({"x": [0, 0, 1], "y": [0, 1, 0], "v": [1.0, -2.0, np.nan]})
    made = drawn("heatmap", frame, {"x": "x", "y": "y", "value": "v"})
    shown = made.axes[0].images[0]
    assert shown.get_array().mask.tolist() == [[False, True], [False, True]]
    assert (shown.norm.vmin, shown.norm.vmax, shown.norm.vcenter) == (-2.0, 2.0, 0.0)
    assert any("not measured" in text for text in texts(made))


def test_cells_are_outlined_where_the_table_says_so():
    flags = [False, True, False, True]
    frame = pd.DataFrame({"x": [0, 1, 0, 1], "y": [0, 0, 1, 1], "v": [1.0, 2.0, 3.0, 4.0], "e": flags})
    made = drawn("heatmap", frame, {"x": "x", "y": "y", "value": "v", "outline": "e"})
    corners = [(round(patch.get_x()), round(patch.get_y())) for patch in made.axes[0].patches]
    assert corners == [(1, 0), (1, 1)]


def test_negative_cells_without_a_number_bear_a_dash():
    frame = pd.DataFrame({"x": [0, 1, 2, 0, 1, 2], "y": [0, 0, 0, 1, 1, 1], "v": [4.0, -1.0, -0.9, -4.0, 0.0, 3.0]})
    roles = {"x": "x", "y": "y", "value": "v"}
    made = drawn("heatmap", frame, roles, annotate=False)
    places = [(line.get_xdata().mean(), line.get_ydata()[0]) for line in made.axes[0].lines]
    assert sorted(places) == [(0, 1), (1, 0)], "at most a quarter of the scale's end, which is -4"
    assert any("A dash: negative" in text for text in texts(made))
    assert not drawn("heatmap", frame, roles).axes[0].lines, "numbers have their sign"
    flagged = frame.assign(e=[True, False, True, False, True, False])
    made = drawn("heatmap", flagged, {**roles, "outline": "e"}, annotate=False)
    places = [(line.get_xdata().mean(), line.get_ydata()[0]) for line in made.axes[0].lines]
    assert sorted(places) == [(0, 1), (1, 0), (2, 0)], "a small one too where it is outlined"
    assert any("or outlined" in text for text in texts(made))
    assert not drawn("heatmap", frame.assign(v=frame["v"].abs()), roles, annotate=False).axes[0].lines


def test_cells_with_few_contexts_are_left_blank_when_asked():
    frame = pd.DataFrame({"x": [0, 1], "y": [0, 0], "v": [1.0, 2.0], "n": [5, 50]})
    made = drawn("heatmap", frame, {"x": "x", "y": "y", "value": "v", "n": "n"}, min_n=10)
    assert made.axes[0].images[0].get_array().mask.tolist() == [[True, False]]


def test_interactions_fill_both_triangles():
    frame = pd.DataFrame({"a": ["p", "q"], "b": ["q", "r"], "v": [0.5, -0.25], "p": [0.01, 0.9]})
    made = drawn("interaction_matrix", frame, {"a": "a", "b": "b", "value": "v", "p": "p"})
    cells = made.axes[0].images[0].get_array()
    assert cells[0, 1] == cells[1, 0] == 0.5
    assert cells[1, 2] == cells[2, 1] == -0.25
    assert sum("*" in t for t in texts(made)) == 3  # two cells and the small print


def test_rows_can_be_sorted_by_size():
    made = drawn("forest", TABLE, {"label": "name", "value": "y"}, sort="abs")
    labels = [t.get_text() for t in made.axes[0].get_yticklabels()]
    order = TABLE.assign(size=TABLE["y"].abs()).sort_values("size", ascending=False)["name"].tolist()
    assert labels == order


def runs(conditions, seeds=4):
    rng = np.random.default_rng(0)
    rows = [
        {"training": c, "n_train": 600, "seed": s, "epoch": e, "raw": 0.6 + rng.normal(0, 0.01),
         "ablated": 0.7 + rng.normal(0, 0.01),
         "alpha": float(i), "accuracy": 0.6}
        for c in conditions for s in range(seeds) for i, e in enumerate((1, 10, 100))
    ]  # fmt: skip
    return pd.DataFrame(rows)


RUNS = {
    "condition": "training", "n_train": "n_train", "seed": "seed", "epoch": "epoch", "raw": "raw", "ablated": "ablated",
    "alpha": "alpha", "accuracy": "accuracy",
}  # fmt: skip


def test_the_comparison_has_a_curve_per_run_a_mean_and_a_band():
    made = drawn("intervention_comparison", runs(["standard", "grokking"]), RUNS)
    assert [ax.get_title(loc="left").split(":")[0] for ax in made.axes] == ["standard", "grokking"] * 2
    top = made.axes[0]
    assert len(top.lines) == 4 * 2 + 2
    assert len({each.get_linestyle() for each in top.lines}) == 2
    assert len(top.collections) == 2
    assert {"n=600 s0", "n=600 s1", "n=600 s2", "raw", "ablated"} <= set(texts(made))


def test_a_condition_without_runs_gets_an_empty_panel():
    made = drawn("intervention_comparison", runs(["standard"]), RUNS, conditions=["standard", "grokking"])
    assert texts(made).count("no data yet") == 2


def test_axes_fit_the_data_unless_limits_are_given():
    frame = runs(["standard"])
    low, high = drawn("intervention_comparison", frame, RUNS).axes[0].get_ylim()
    assert low > 0.5 and high < 0.8
    limited = drawn("intervention_comparison", frame, RUNS, ylim=[0.0, 1.0])
    assert limited.axes[0].get_ylim() == (0.0, 1.0)


def test_writing_twice_gives_the_same_bytes():
    first, second = drawn("curve", TABLE), drawn("curve", TABLE)
    assert png_bytes(first) == png_bytes(second)
    assert pdf_bytes(first) == pdf_bytes(second)
    assert png_bytes(first)[:8] == b"\x89PNG\r\n\x1a\n" and pdf_bytes(first)[:5] == b"%PDF-"


@pytest.mark.parametrize("kind", ["heatmap", "dose_response", "strip"])
def test_a_picture_shows_what_savefig_shows_and_leaves_the_figure_as_it_was(kind):
    one, two = (draw(figure(kind), {"t": TABLE}) for _ in range(2))
    engine, dpi = one.get_layout_engine(), one.get_dpi()
    png, pdf = io.BytesIO(), io.BytesIO()
    with styled():
        FigureCanvasAgg(two)
        two.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
        two.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    ours, theirs = (Image.open(io.BytesIO(content)) for content in (png_bytes(one), png.getvalue()))
    assert ours.size == theirs.size and ours.info == theirs.info
    assert ours.convert("RGBA").tobytes() == theirs.tobytes()
    assert pdf_bytes(one) == pdf.getvalue()
    assert one.get_layout_engine() is engine and one.get_dpi() == dpi
    measured = (one.axes[0].xaxis, one.axes[0].title, *one.axes[0].get_xticklabels())
    assert not any(name in vars(each) for each in measured for name in ("_update_ticks", "_get_layout"))


def test_remembered_texts_are_drawn_as_savefig_draws_them():
    def written(size: int) -> Drawing:
        with styled():
            made = Drawing(figsize=(3, 2), layout="constrained")
            made.subplots().set(title="A title $x^2$", xlabel="dose", ylabel="response")
            made.axes[0].xaxis.label.set_size(size)
        return made

    seen = set()
    for size, hinting, dpi in ((9, "default", DPI), (9, "none", DPI), (12, "default", DPI), (9, "default", 90)):
        with rc_context({"text.hinting": hinting}), pytest.MonkeyPatch.context() as patch:
            patch.setattr(style, "DPI", dpi)
            drawings = [png_bytes(written(size)) for _ in range(2)]
            expected = io.BytesIO()
            with styled():
                written(size).savefig(expected, format="png", dpi=dpi)
        pixels = Image.open(expected).tobytes()
        assert all(Image.open(io.BytesIO(drawing)).convert("RGBA").tobytes() == pixels for drawing in drawings)
        seen.add(pixels)
    assert len(seen) == 4
    assert any("response" in key for key in _texts._known)


def test_an_observed_value_stands_beside_its_null_in_a_histogram():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"kind": ["observed"] * 30 + ["null"] * 60, "r": rng.normal(size=90)})
    columns = {"value": "r", "group": "kind"}
    made = drawn("histogram", frame, columns, share=True, observed=2.5, p=0.01, null_group="null")
    said = texts(made)
    assert {"observed (30)", "null (60)", "central 95 % of the null"} <= set(said)
    assert any(text.startswith("observed = 2.5, p = .010") for text in said)
    heights = [patch.get_height() for patch in made.axes[0].patches if hasattr(patch, "get_height")]
    assert all(height <= 1 for height in heights) and made.axes[0].get_ylabel() == "share"
    alone = texts(drawn("histogram", frame[["r"]], {"value": "r"}, share=True, observed=2.5))
    assert "null (90)" in alone and "central 95 % of the null" in alone


def test_effects_and_their_p_are_read_as_a_volcano():
    frame = pd.DataFrame({"x": [1.0, -1.0, 0.1, 0.0], "p": [0.001, 0.01, 0.001, 0.9], "name": list("abcd")})
    made = drawn("scatter", frame, {"x": "x", "y": "p", "label": "name"}, y_is_p=True, min_effect=0.5)
    assert {"raises (1)", "lowers (1)", "not established (2)", "p = 0.05", "a", "b"} <= set(texts(made))
    assert "c" not in texts(made)
    heights = np.concatenate([one.get_offsets()[:, 1] for one in made.axes[0].collections])
    np.testing.assert_allclose(sorted(heights), sorted(-np.log10(frame["p"])))


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("volcano", {"x": "x", "p": "p", "label": "name"}),
        ("validation_histogram", {"value": "x", "group": "name"}),
        ("itemset_lift", {"label": "name", "lift": "share", "support": "share", "p": "p", "effect": "y"}),
        ("coverage", {"label": "name", "core": "share", "tail": "low", "base": "null_high", "flag": "support"}),
    ],
)
def test_figures_that_older_versions_declared_are_drawn(kind, columns):
    assert all(ax.has_data() for ax in drawn(kind, TABLE, columns).axes)


def test_several_values_share_a_panel_of_a_forest_or_have_one_each():
    columns = {"label": "name", "value": ["share", "y"], "low": ["low"], "high": ["high"], "tick": "null", "p": "p"}
    together = drawn("forest", TABLE, columns | {"flag": "support"}, together=True, labels=["core", "tail"], sort="gap")
    assert len(together.axes) == 1 and {"core", "tail", "null", "own"} <= set(texts(together))
    gaps = TABLE.set_index("name").eval("share - y").sort_values(ascending=False, kind="stable")
    assert [label.get_text() for label in together.axes[0].get_yticklabels()] == list(gaps.index)
    assert sum(line.get_marker() == "|" for line in together.axes[0].lines) == 2 * N
    axes = {"xlabel": ["seen", "done"], "reference": [1.0, 0.0], "logx": [True, False]}
    apart = drawn("forest", TABLE, columns, alpha=0.1, **axes)
    assert [ax.get_xlabel() for ax in apart.axes] == ["seen", "done"]
    assert [ax.get_xscale() for ax in apart.axes] == ["log", "linear"]
    assert {"p ≤ 0.1", "p > 0.1"} <= set(texts(apart)) and not any(text.startswith("p =") for text in texts(apart))
    unfilled = [line for line in apart.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert len(unfilled) == (TABLE["p"] > 0.1).sum()


def test_named_points_of_all_panels_lie_inside_the_axes_that_they_share():
    frame = pd.DataFrame(
        {
            "x": [0.0, 1.0, 0.0, 1.0],
            "y": [0.0, -4.0, 0.0, 4.0],
            "name": list("abcd"),
            "way": ["one", "one", "two", "two"],
        }
    )
    figure = Figure.of("scatter", "t", x="x", y="y", label="name", panel="way")
    for ax in draw(figure, {"t": frame}).axes:
        low, high = ax.get_ylim()
        assert low < -4 and high > 4
