"""The tutorial: its cells run as they stand, and show what is kept in it; it is a notebook that Jupyter opens."""

from __future__ import annotations

import re
import shutil
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from paribus.tracking.relocate import relocate

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def notebook():
    sys.path.insert(0, str(ROOT))
    try:
        from docs import notebook

        yield notebook
    finally:
        sys.path.remove(str(ROOT))


@pytest.fixture(scope="module")
def content(notebook):
    return notebook.read()


def words(outputs):
    """Return the words of what is shown; numbers may differ between machines in their last digits, ids by the code."""
    found = []
    for each in outputs:
        shown = each.get("data", {"text/plain": each.get("text")})
        text = "".join(shown["text/plain"])
        if "text/html" in shown and not text.startswith("Result("):
            text = "".join(shown["text/html"])  # how a frame is written as text depends on the terminal
        found += re.findall(r"[a-z_]{3,}", re.sub(r"\b[0-9a-f]{8,}\b", "", text))
    return found


@pytest.mark.slow
def test_the_cells_run_and_show_what_is_kept(notebook, content, tmp_path, migrated_database, undrawn_figures):
    shutil.copy2(migrated_database, tmp_path / "mlflow.db")
    relocate(tmp_path)
    with chdir(tmp_path):
        for cell, outputs in notebook.executed(content):
            said = f"{''.join(cell['source'])}\nrun: python -m docs.notebook"
            assert [sorted(each.get("data", ["text"])) for each in outputs] == [
                sorted(each.get("data", ["text"])) for each in cell["outputs"]
            ], said
            assert words(outputs) == words(cell["outputs"]), said
    results = [
        each for cell in content["cells"] for each in cell.get("outputs", ()) if "text/html" in each.get("data", ())
    ]
    assert any(
        "Result(" in each["data"]["text/plain"][0] and "<img" in "".join(each["data"]["text/html"]) for each in results
    )


def test_it_is_a_notebook_without_traces_of_the_machine_it_was_made_on(notebook, content):
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in content["cells"]]
    assert len(ids) == len(set(ids)) and notebook.FILE.stat().st_size < 600_000
    assert content["cells"][0]["cell_type"] == "markdown" and content["cells"][0]["source"][0].startswith("# ")
    text = notebook.FILE.read_text(encoding="utf-8")
    assert "/tmp/" not in text and str(Path.home()) + "/" not in text
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", "".join("".join(c["source"]) for c in content["cells"])):
        assert (notebook.FILE.parent / target).exists(), target
