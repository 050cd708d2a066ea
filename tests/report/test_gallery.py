"""The gallery holds every run, links them, filters, loads nothing, and writes nowhere else."""

from __future__ import annotations

import importlib.util
import json
import re
from datetime import UTC, datetime
from math import nan
from pathlib import Path

import pandas as pd
import pytest

from paribus.errors import DataError
from paribus.figures.draw import draw
from paribus.figures.save import png_bytes
from paribus.report._parts import cards
from paribus.report.gallery.entry import Entry, choices, links
from paribus.report.gallery.overview import overview
from paribus.report.gallery.site import MANIFEST, write
from paribus.results.estimates import estimates
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Diagnostics, Figure, Result, Table

ATTACK = "\"'><script>alert(1)</script><img src=https://elsewhere.test/x onerror=alert(2)>"
BEGAN = datetime(2026, 1, 2, 3, tzinfo=UTC)
SWEEP = pd.DataFrame({"alpha": [-1.0, 0.0, 1.0], "acc": [0.6, 0.8, 0.7]})
FIGURE = Figure("steering", "curve", ("sweep",), {"x": "alpha", "y": "acc"}, "Accuracy along the direction")


def result(kind, subject="images", text="plain", frame=SWEEP, **changes):
    tables = {"sweep": Table("sweep", f"One row per alpha, {text}.", Evidence.INTERVENTIONAL, frame)}
    deep = {"by_direction": {"one": {"slope": 1.0}, "other": {"slope": 2.0}}, "summary": [f"It moves {text}."]}
    metrics = {"ood_delta": -0.02, "ood_delta_ci_low": -0.1, "ood_delta_ci_high": 0.05}
    fields = {"metrics": metrics, "provenance": {"repeat": f"paribus experiment={kind}"}, "figures": (FIGURE,)}
    tables, aggregates = changes.pop("tables", tables), changes.pop("aggregates", Aggregates(custom=deep))
    return Result("s", kind, Evidence.INTERVENTIONAL, text, "mlp", subject, aggregates, tables,
                  Diagnostics(), **{**fields, **changes})  # fmt: skip


@pytest.fixture(scope="module")
def png():
    return png_bytes(draw(FIGURE, {"sweep": SWEEP}))


def entry(number, kind, png=b"", text="plain", made=None, **changes):
    tags = {"experiment": kind, "evidence": "interventional", "training": ("standard", "grokking")[number % 2]}
    fields = {
        "run_id": f"{number:032x}", "name": f"{kind} s{number} {text}", "status": "FINISHED", "study": "mine",
        "started": BEGAN, "tags": tags, "result": made or result(kind, text=text),
        "figures": {"steering": png} if png else {},
    }  # fmt: skip
    return Entry(**{**fields, **changes})


@pytest.fixture(scope="module")
def entries(png):
    trained, one, other = (
        entry(1, "train_classifier"),
        entry(2, "activation_steering", png),
        entry(3, "domain_swap", png),
    )
    one = Entry(**{**vars(one), "model_run": trained.run_id, "claim": "ood_delta above 0.05", "verdict": "undecided"})
    other = Entry(**{**vars(other), "model_run": trained.run_id, "tags": {**other.tags, "feature": "latent 3"}})
    frame = pd.DataFrame({"alpha": 0.0, "acc": 0.5, "run_id": [one.run_id, other.run_id]})
    compared = entry(4, "compare", made=result("compare", subject="runs", frame=frame))
    failed = entry(5, "domain_swap", status="FAILED", result=None)
    return [compared, failed, other, one, trained]


def test_every_run_has_a_page_and_pages_link_to_each_other(tmp_path, entries):
    written = write(tmp_path / "site", "My study", entries)
    assert sorted(path.name for path in written[1:]) == sorted(f"{one.run_id}.html" for one in entries)
    overview = written[0].read_text()
    for one in entries:
        assert f'href="{one.page}"' in overview
    links_of = {
        path.stem: set(re.findall(r'href="\.\./runs/([0-9a-f]{32})\.html"', path.read_text())) for path in written
    }
    compared, failed, other, one, trained = (each.run_id for each in entries)
    assert links_of[one] == {trained, other, compared}
    assert links_of[compared] == {one, other}
    assert "paribus experiment=activation_steering" in (tmp_path / "site" / "runs" / f"{one}.html").read_text()
    assert "−2 %" in overview and "[−10, 5]" in overview and "ood_delta above 0.05" in overview


def test_why_runs_are_linked(entries):
    compared, _, other, one, trained = entries
    assert {why: each.run_id for why, (each,) in links(one, entries).items()} == {
        "the training of its model": trained.run_id, "compared in": compared.run_id, "same model": other.run_id,
    }  # fmt: skip


def test_a_feature_of_another_model_is_another_feature():
    tags = {"experiment": "sweep", "feature": "latent 5"}
    one, same, elsewhere = (
        entry(number, "sweep", study=str(number), tags={**tags, "model": model})
        for number, model in enumerate(("gpt2", "gpt2", "pythia"))
    )
    assert links(one, [one, same, elsewhere]) == {"same feature": [same]}


def test_a_comparison_leads_with_its_primary_family_and_not_with_what_was_looked_for_afterwards():
    lines = [
        "Primary family: 2 tests, adjusted by Holm.", "It is there, standard: +0.5 (95 % CI 0.4 to 0.6).",
        "Not decided: grokking against standard (-0.1, 95 % CI -0.2 to 0.1).",
    ]  # fmt: skip
    rows = {"training": "grokking", "reference": "standard", "endpoint": ["steer", "shift"], "difference": [-0.4, -0.1]}
    ends = {"p_adj": [0.02, 0.5], "ci_adj_low": [-0.8, -0.2], "ci_adj_high": [-0.2, 0.1]}
    tests = pd.DataFrame({**rows, **ends, "family": ["exploratory", "primary"]})
    for said, family, words in (
        (lines, tests, ["shift", "steer", lines[1][:-1]]),
        (lines[1:], tests.drop(columns="family"), ["steer", "shift", lines[2][:-1]]),
    ):
        made = result("compare", subject="runs", tables={"tests": Table("tests", "", Evidence.COMPARISON, family)},
                      aggregates=Aggregates(custom={"summary": said}))  # fmt: skip
        (card,) = re.findall(r'<li class="run".*?</li>', overview("x", [entry(0, "compare", made=made)]), re.DOTALL)
        shown = card.partition("<h3>")[2]
        places = [shown.find(word) for word in words]
        assert min(places) >= 0 and places == sorted(places)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((-0.2, 0.1, -0.1, 0.0, "paired_sign_flip"), "[−0.2, 0.1]"),
        ((nan, nan, -0.1, 0.0, "paired_sign_flip"), "[−0.1, 0] not adjusted"),
        ((nan, nan, -0.1, 0.0, "welch_t"), "[−0.1, 0] not adjusted (t)"),
        ((nan, nan, nan, nan, "none: units are equal"), "no interval: units are equal"),
    ],
)
def test_a_difference_whose_adjusted_level_is_out_of_reach_shows_its_own_interval_and_says_so(ends, said):
    names = ("ci_adj_low", "ci_adj_high", "ci_low", "ci_high", "ci_method")
    row = {"training": "grokking", "reference": "standard", "endpoint": "shift", "difference": -0.05, "p_adj": 1.0}
    tests = pd.DataFrame([row | dict(zip(names, ends, strict=True))])
    made = result("compare", subject="runs", tables={"tests": Table("tests", "", Evidence.COMPARISON, tests)})
    (card,) = estimates(made)
    assert card.interval == said and said in cards([card])


def test_only_tags_that_tell_runs_apart_filter(entries):
    found = choices(entries)
    assert set(found) == {"experiment", "training", "feature", "status"} and found["status"] == ["FAILED", "FINISHED"]


def test_what_users_named_cannot_become_markup(tmp_path, png):
    sly = Entry(**{**vars(entry(7, "x", png, ATTACK)), "study": ATTACK, "claim": ATTACK, "verdict": ATTACK,
                   "tags": {"feature": ATTACK, ATTACK: ATTACK, "evidence": ATTACK}})  # fmt: skip
    write(tmp_path / "site", ATTACK, [sly, entry(8, "y", png)])
    for path in (tmp_path / "site").rglob("*.html"):
        text = path.read_text()
        assert "<script>alert" not in text and "<img src=https" not in text
        assert text.count("<script>") == 1
        assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", text)


@pytest.mark.parametrize("run_id", ["../../evil", "a" * 31, "A" * 32, "/etc/passwd", "runs/../x", ""])
def test_no_id_leads_out_of_the_folder(tmp_path, run_id):
    with pytest.raises(ValueError):
        write(tmp_path / "site", "t", [Entry(run_id, "n", "FINISHED", "s", BEGAN, {})])
    assert not list(tmp_path.rglob("*evil*"))


def test_a_folder_with_something_else_is_left_as_it_is(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty and holds no gallery"):
        write(tmp_path, "t", [entry(1, "x")])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_links_on_the_way_are_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    site = tmp_path / "site"
    write(site, "t", [entry(1, "x")])
    (site / "runs" / f"{1:032x}.html").unlink()
    (site / "runs").rmdir()
    (site / "runs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="leads out of"):
        write(site, "t", [entry(1, "x")])
    assert not list((tmp_path / "elsewhere").iterdir())
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="no folder of its own"):
        write(tmp_path / "link", "t", [entry(1, "x")])


def test_an_older_gallery_is_replaced_and_a_sly_manifest_deletes_nothing(tmp_path):
    site = tmp_path / "site"
    write(site, "t", [entry(1, "x"), entry(2, "x")])
    (tmp_path / "precious").write_text("mine")
    manifest = json.loads((site / MANIFEST).read_text())
    write(site, "t", [entry(2, "x")])
    assert not (site / "runs" / f"{1:032x}.html").exists() and (site / "runs" / f"{2:032x}.html").exists()
    (site / MANIFEST).write_text(json.dumps({"files": [*manifest["files"], "../precious"]}))
    with pytest.raises(DataError, match="leads out of"):
        write(site, "t", [entry(2, "x")])
    assert (tmp_path / "precious").read_text() == "mine"


_SPEC = importlib.util.spec_from_file_location("browser", Path(__file__).parents[1] / "e2e" / "browser.py")
browsing = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(browsing)
AXE = importlib.util.find_spec("axe_core_python")
CHECK = """
const done = arguments[arguments.length - 1];
axe.run(document).then(found => done(found.violations.map(
  each => each.id + ': ' + each.nodes.slice(0, 3).map(node => node.html.slice(0, 120)).join(' | '))));
"""


@pytest.mark.browser
def test_in_a_browser(tmp_path, entries):
    """Opens, filters, follows links by mouse and keyboard; quiet console, no other host, no accessibility error."""
    browsing.need_browser()
    write(tmp_path / "site", "My study", entries)
    axe = (Path(AXE.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    browser = browsing.Browser(tmp_path / "profile", tmp_path)
    try:
        browser.open("about:blank")
        browser.requested()  # what the browser's own start page asked for
        index = (tmp_path / "site" / "index.html").as_uri()
        pages = (index, *(f"{index.removesuffix('index.html')}{one.page}" for one in entries[:4]))
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            browser.command("Emulation.setEmulatedMedia", features=[feature])
            for url in pages:
                browser.open(url, "Runs" if url == index else "My study")
                browser.script(axe)
                assert browser.later(CHECK) == [], (scheme, url)
        browser.open(index, "5 of 5 runs shown")
        browser.script(
            "const s = document.querySelector('select[name=experiment]'); s.value = 'domain_swap';"
            "s.dispatchEvent(new Event('input', {bubbles: true}));"
        )
        assert "2 of 5 runs shown" in browser.text()
        browser.script("document.querySelector('form.filters').reset()")
        browser.script(
            "const w = document.querySelector('input[name=words]'); w.value = 'steering s2';"
            "w.dispatchEvent(new Event('input', {bubbles: true}));"
        )
        assert "1 of 5 runs shown" in browser.text()
        browser.script("document.querySelector('.run:not([hidden]) h3 a').focus(); document.activeElement.click()")
        browsing.wait_for(lambda: "What was found" in browser.text(), "the page of the run", 20)
        browser.click("compare s4 plain")
        browsing.wait_for(lambda: "compares (2)" in browser.text(), "the page of the comparison", 20)
        narrow = {"width": 380, "height": 800, "deviceScaleFactor": 2, "mobile": True}
        browser.command("Emulation.setDeviceMetricsOverride", **narrow)
        for url in pages:
            browser.open(url)
            assert browser.script("return document.documentElement.scrollWidth") <= 380, url
        assert [each for each in browser.log("browser") if each["level"] in ("SEVERE", "WARNING")] == []
        outside = [url for url in browser.requested() if not url.startswith(("file:", "data:", "about:"))]
        assert outside == []
        browser.command("Emulation.clearDeviceMetricsOverride")
        browser.open(index)
        browser.shot("overview")
    finally:
        browser.close()
