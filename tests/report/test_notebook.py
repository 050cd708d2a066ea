"""What a notebook shows of a result."""

from __future__ import annotations

import html.parser
import re

import numpy as np
import pandas as pd
import pytest

from paribus.report import notebook
from paribus.report._look import CSS
from paribus.results import display
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Diagnostics, Figure, Result, Table

ATTACK = "\"'><script>alert(1)</script>"
FRAME = pd.DataFrame({"alpha": [-1.0, 0.0, 1.0], "delta": [-0.1, 0.0, 0.2], "low": [-0.2, 0, 0.1], "high": [0, 0, 0.3]})
FIGURE = Figure("steering", "curve", ("sweep",), {"x": "alpha", "y": "delta", "low": "low", "high": "high"}, "Steering")


def result(text="plain", **changes):
    fields = {
        "spec_id": "s1", "experiment_type": "activation_steering", "evidence": Evidence.INTERVENTIONAL,
        "feature": None, "model": text, "subject": "tables",
        "aggregates": Aggregates(custom={"shift": 0.25, "shift_ci_low": 0.1, "shift_ci_high": 0.4}),
        "tables": {"sweep": Table("sweep", f"One row per alpha {text}.", Evidence.INTERVENTIONAL, FRAME)},
        "diagnostics": Diagnostics(n_contexts_tested=12, warnings=(f"careful {text}",)),
        "figures": (FIGURE,), "config": {"tracking": {"kind": "local", "folder": ".", "experiment": "hospitals"}},
        "run_id": "0123456789abcdef", **changes,
    }  # fmt: skip
    return Result(**fields)


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    monkeypatch.setattr(display, "_drawn_by", {})
    notebook.show_results()


def test_a_cell_shows_headline_interval_evidence_figure_tables_warnings_and_where_it_is_kept():
    shown = result()._repr_html_()
    for part in (
        "shift = 0.25 [0.1, 0.4]",
        'class="badge interventional">interventional',
        "data:image/png;base64,",
        "careful plain",
        "<details><summary>table <b>sweep</b>, 3 rows: One row per alpha plain.",
        "Run 0123456789abcdef of the MLflow experiment 'hospitals' in this folder: paribus show 01234567, paribus ui",
    ):
        assert part.replace("'", "&#x27;") in shown or part in shown, part
    assert "<script" not in shown and "http" not in shown and "<button" not in shown


def test_tables_are_folded_and_cut_where_they_are_long():
    long = Table("long", "Rows.", Evidence.WEIGHTS, pd.DataFrame({"x": np.arange(1000.0)}))
    shown = result(tables={"long": long}, figures=())._repr_html_()
    assert shown.count("<tr>") < 80 and "The first 50 are shown" in shown and "<details open" not in shown
    assert "1,000 rows" in long._repr_html_()


def test_texts_are_escaped():
    shown = result(ATTACK)._repr_html_()
    assert "<script>alert" not in shown and "&lt;script&gt;" in shown
    html.parser.HTMLParser().feed(shown)


def test_a_figure_that_cannot_be_drawn_does_not_hide_the_numbers():
    broken = Figure("broken", "no_such_kind", ("sweep",), {}, "Broken")
    shown = result(figures=(broken,))._repr_html_()
    assert "(not drawn)" in shown and "shift = 0.25" in shown


def test_where_a_result_is_kept_is_said_in_every_case():
    assert notebook.kept_where(result(run_id=None)) == "Not tracked (tracking=off)."
    server = {"tracking": {"kind": "server", "uri": "http://there:5000", "experiment": "x"}}
    assert "on http://there:5000" in notebook.kept_where(result(config=server))
    assert notebook.kept_where(result(reused=True)).startswith("Taken from run 0123")
    assert "in /data" in notebook.kept_where(result(config={"tracking": {"kind": "local", "folder": "/data"}}))


def test_a_run_that_failed_says_so():
    assert "the loss became nan" in result(success=False, error_message="the loss became nan")._repr_html_()


def test_every_style_rule_applies_inside_of_the_cell_only():
    rules = re.findall(r"([^{}]+)\{", notebook.scoped(CSS))
    assert len(rules) > 30
    assert all(each.strip().startswith(".paribus") for rule in rules for each in rule.split(","))
    assert "@media" not in notebook.scoped(CSS)


def test_plain_reprs_are_short():
    assert repr(result()).splitlines() == [
        "Result(activation_steering, interventional, tables, run 01234567)",
        "  shift = 0.25 [0.1, 0.4]",
        "  tables: sweep",
    ]
    assert repr(result().tables["sweep"]) == "Table('sweep', interventional, 3 rows, 4 columns)"
    assert "did not finish" in repr(result(success=False))


def test_nothing_is_shown_as_html_where_nothing_draws_it(monkeypatch):
    monkeypatch.setattr(display, "_drawn_by", {})
    assert result()._repr_html_() is None
