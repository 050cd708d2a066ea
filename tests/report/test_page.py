"""The page says everything, loads nothing, and lets nothing in."""

from __future__ import annotations

import html.parser
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.report._values import short
from paribus.report.page import CLAIMS, render
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Diagnostics, EngineReport, Figure, Result, Table

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + (900).to_bytes(4, "big") + (600).to_bytes(4, "big") + b"rest"
ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"


def result(text="plain", rows=3, **changes):
    frame = pd.DataFrame({"name": [text] * rows, "value": np.linspace(-1, 1, rows), "empty": np.nan, "yes": True})
    fields = {
        "spec_id": "s1", "experiment_type": "activation_steering", "evidence": Evidence.INTERVENTIONAL, "feature": text,
        "model": text, "subject": "images",
        "aggregates": Aggregates(0.25, n_samples=12,
                                 custom={"summary": [f"found {text}"], "label": text, "deep": {text: [text]}}),
        "tables": {"sweep": Table("sweep", f"rows of {text}", Evidence.INTERVENTIONAL, frame,
                                  {"value": f"unit {text}"})},
        "diagnostics": Diagnostics(n_contexts_tested=12, constraint_violations={text: 3},
                                   engine=EngineReport("closed_form", 10, 5, 1e-7), warnings=(f"careful {text}",)),
        "figures": (Figure("fig", "curve", ("sweep",), {}, f"title {text}", f"caption {text}"),
                    Figure("gone", "curve", ("sweep",), {}, "never drawn")),
        "metrics": {"final_ood": 0.71}, "config": {"model": {"width": 16, "name": text}},
        "provenance": {"git": {"commit": "abc123", "diff": f"+ {text}\n- b"}}, "run_id": "run-7",
        "duration_seconds": 83.0,
        **changes,
    }  # fmt: skip
    return Result(**fields)


class Reader(html.parser.HTMLParser):
    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.text, self.links = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset", "action")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


def test_everything_a_reader_needs_is_there():
    page = render(result(), {"fig": PNG}, command="paribus experiment=x 'a=[1,2]'")
    text = " ".join(Reader(page).text)
    for part in ("activation_steering", "interventional", CLAIMS[Evidence.INTERVENTIONAL], "found plain",
                 "careful plain",
                 "0.25", "0.71", "title plain", "caption plain", "never drawn", "(not drawn)", "rows of plain",
                 "unit plain",
                 "closed_form", "constraint plain", "abc123", "model.width", "run-7", "1 min 23 s",
                 "paribus experiment=x 'a=[1,2]'"):  # fmt: skip
        assert part in text, part


def test_nothing_is_loaded_from_anywhere():
    reader = Reader(render(result(), {"fig": PNG}))
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in reader.links)
    assert reader.open == [] and reader.tags.count("script") == 1
    assert "link" not in reader.tags and "iframe" not in reader.tags


def test_what_users_named_cannot_become_markup():
    page = render(result(ATTACK), {"fig": PNG}, command=ATTACK)
    reader = Reader(page)
    assert reader.tags.count("script") == 1 and reader.tags.count("img") == 1
    assert ATTACK in "".join(reader.text)


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30).map("x{}".format))
@settings(max_examples=25, deadline=None)
def test_any_text_leaves_the_structure_as_it_is(text):
    assert Reader(render(result(text), {})).tags == Reader(render(result("plain"), {})).tags


def test_long_tables_are_cut_and_say_so():
    page = render(result(rows=900), {})
    assert page.count("<tr><td") < 660
    assert "The first 600 are shown" in page and "900 rows" in page


def test_a_long_table_of_effects_shows_the_rows_that_sentences_name_with_their_numbers():
    rng = np.random.default_rng(0)
    names = [f"L{row // 12}H{row % 12}" for row in range(1500)]
    size, found = rng.normal(size=1500), rng.random(1500) < 0.1
    frame = pd.DataFrame({"level": names, "mean_delta": size, "established": found})
    frame.loc[7, "mean_delta"] = np.nan
    page = render(result(tables={"t": Table("t", "effects", Evidence.INTERVENTIONAL, frame)}), {})
    shown = re.findall(r'data-value="([0-9.]+)">[0-9,]+</td><td data-value="(L[0-9]+H[0-9]+)"', page)
    assert len(shown) == 600 and "The established and largest 600 are shown" in page
    assert [names[int(float(number)) - 1] for number, _ in shown] == [name for _, name in shown]
    kept = frame["level"].isin([name for _, name in shown])
    assert kept[found].all()
    assert frame["mean_delta"][kept & ~found].abs().min() >= frame["mean_delta"][~kept].abs().max()


def test_a_failed_run_shows_its_message_first():
    page = render(result(success=False, error_message="loss became NaN <at> epoch 3"), {})
    text = " ".join(Reader(page).text)
    assert "loss became NaN <at> epoch 3" in text
    assert text.index("did not finish") < text.index("What was found")


@pytest.mark.parametrize("evidence", list(Evidence))
def test_every_evidence_says_what_it_can_claim(evidence):
    assert CLAIMS[evidence] in " ".join(Reader(render(result(evidence=evidence), {})).text)


def test_an_empty_result_is_a_page_too():
    empty = result(tables={}, figures=(), aggregates=Aggregates(), diagnostics=Diagnostics(), metrics={}, config={},
                   provenance={}, duration_seconds=None)  # fmt: skip
    text = " ".join(Reader(render(empty, {})).text)
    assert "What was found" not in text and "Nothing to report." in text


def test_empty_and_columnless_tables_do_not_break_the_page():
    for frame in (pd.DataFrame(), pd.DataFrame({"a": []})):
        table = Table("t", "none", Evidence.OBSERVATIONAL, frame)
        assert "0 rows" in render(result(tables={"t": table}), {})


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (float("inf"), "∞"), (-np.inf, "−∞"), (np.float64(-0.12345), "−0.1235"),
     (np.int64(12), "12"), (True, "yes"), (np.bool_(False), "no"), (1.0, "1"), (pd.NA, "–"), ([1, "a"], "1, a"),
     ({"floor": -0.123456, "n": [3, None], "none": []}, "floor: −0.1235, n: (3, –), none: –"), ([], "–"),
     (1e-7, "1e−07")],
)  # fmt: skip
def test_values_are_short(value, text):
    assert short(value) == text


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_click_sorts_in_a_browser(tmp_path):
    frame = pd.DataFrame({"value": [2.0, np.nan, -10.0, 1.0], "name": ["b", "a", "d", "c"]})
    page = render(result(tables={"t": Table("t", "", Evidence.TRAINING, frame)}), {})
    page = re.sub(r"script-src [^\"]*", "script-src &#x27;unsafe-inline&#x27;", page, count=1)
    click = """<script>document.querySelector("th:nth-child(2) button").click();
      document.title = JSON.stringify(Array.from(document.querySelector("table.sortable tbody").rows,
      function (r) { return r.cells[2].textContent; }));</script>"""
    (tmp_path / "page.html").write_text(page.replace("</body>", click + "</body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update",
             f"--user-data-dir={tmp_path / 'profile'}"]  # fmt: skip
    done = subprocess.run(
        ["chromium", *flags, "--dump-dom", f"file://{tmp_path / 'page.html'}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title and json.loads(title.group(1).replace("&quot;", '"')) == ["d", "c", "b", "a"]
