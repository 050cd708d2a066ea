"""The worked example of ``docs/own_subject.md``: a subject from outside, against what its network is known to do."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shutil
import sys

import numpy as np
import pytest

from paribus.cli.main import main
from paribus.experiments import plugins
from paribus.figures.draw import draw
from paribus.figures.save import png_bytes
from paribus.tracking.relocate import relocate

MOST_LINES = 200
IDS = np.random.default_rng(0).integers(1, 8, (240, 5))
REPORTED = IDS[120:]


@pytest.fixture(scope="module")
def page(documents):
    return documents.blocks(documents.root / "docs" / "own_subject.md")


@pytest.fixture(scope="module")
def folder(page, tmp_path_factory, migrated_database):
    """The folder of the page, which is the working folder of this module."""
    made = tmp_path_factory.mktemp("own_subject")
    for block in page:
        if block.file:
            (made / block.file).parent.mkdir(parents=True, exist_ok=True)
            (made / block.file).write_text(block.text)
    shutil.copy2(migrated_database, made / "mlflow.db")
    relocate(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(made))
        patch.chdir(made)
        patch.setattr(plugins, "_registered", {})
        yield made
    for name in [name for name in sys.modules if name.partition(".")[0] == "sequences"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def printed(page, folder, undrawn_figures):
    """What each command of the page printed."""
    commands = [words for block in page if block.language == "bash" for words in block.commands()]
    assert [words for words in commands if words[0] != "paribus"] == [["python", "notebook.py"]]
    found = {}
    for _, *words in [words for words in commands if words[0] == "paribus"]:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert main(words if words[0] == "list" else [*words, "stats=quick"]) == 0, words
        found[" ".join(words)] = out.getvalue()
    return found


@pytest.fixture
def table(printed, folder, recomputation):
    """Return ``table(type, name, more)``: a table of the latest run of a type."""

    def read(kind, name, more=""):
        _, found = recomputation.result(folder, "paribus", f"tags.experiment_type = '{kind}'{more}")
        assert found.subject == "sequences" and not found.diagnostics.engine.parity_max_abs_diff
        return found.tables[name].frame

    return read


def test_every_file_of_the_tree_is_given_in_full_and_the_subject_is_short(documents, page):
    text = (documents.root / "docs" / "own_subject.md").read_text()
    tree = re.search(r"```\n(sequences/.*?)```", text, re.DOTALL)[1]
    named = set()
    for line in tree.splitlines():
        first, *rest = line.split()
        named |= {first + name for name in rest} if first.endswith("/") else {first}
    assert named == {block.file for block in page if block.file}
    (subject,) = [block.text for block in page if block.file == "sequences/subject.py"]
    assert len(subject.splitlines()) <= MOST_LINES


def test_a_sweep_of_tokens_moves_the_margin_by_what_the_weights_say(table):
    effects = table("sweep", "effects", " and params.experiment.factor.position = '1'").set_index("level")
    step = 4.0 * (1.0 + 1.0 / 7.0)  # its own logit rises by 4; token 1, one of the seven others, loses 4
    assert effects.loc["token 2", "mean_delta"] == pytest.approx(step, abs=1e-5)
    assert effects.loc["token 3", "mean_delta"] == pytest.approx(0.0, abs=1e-5)
    assert effects.loc["token 2", "established"] and not effects.loc["token 3", "established"]


def test_only_the_positions_that_the_network_reads_matter(table):
    effects = table("ablate", "effects").set_index("level")["mean_delta"]
    assert effects["position 1"] == pytest.approx(-4.0 - 4.0 / 7.0, abs=1e-5)  # the mask takes the label's place
    agree = (REPORTED[:, 1] == REPORTED[:, 3]).mean()
    assert effects["position 3"] == pytest.approx(-agree * (1.0 + 1.0 / 7.0), abs=1e-5)
    assert effects[["position 0", "position 2", "position 4"]].abs().max() < 1e-6


def test_tokens_can_be_swapped(table):
    effects = table("swap", "effects")
    assert len(effects) == 3 + 6 and (effects["mean_delta"].dropna() < 0).all()


def test_the_eraser_takes_the_answer_away(table):
    effects = table("sweep", "effects", " and params.experiment.readout = 'correct'").set_index("level")["mean_delta"]
    assert effects["rank 6"] < -0.5 < effects["rank 1"]


def test_the_experiment_with_readout_method_and_figure_of_its_own(table, folder, recomputation):
    effects = table("order", "orders")
    assert len(effects) == 3 and np.isfinite(effects["mean_delta"]).all()
    _, found = recomputation.result(folder, "paribus", "tags.experiment_type = 'order'")
    assert not found.diagnostics.warnings or not any("drawn" in line for line in found.diagnostics.warnings)
    assert len(png_bytes(draw(found.figures[0], {"orders": effects}))) > 2000


def test_the_list_says_where_the_type_is_from(printed):
    listed = printed["list experiment --config-dir my_conf"].splitlines()
    line = next(line for line in listed if line.startswith("order"))
    assert line.split()[:4] == ["order", "interventional", "sequences", "my_conf"]


def test_the_notebook_runs_on_objects(printed, folder, capsys):
    runpy.run_path("notebook.py")
    shown = capsys.readouterr().out
    assert shown.startswith("Result(order, interventional, sequences, run ")
    assert "arrays Reader (" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["experiment.factor.position=7"], "experiment.factor.position: 7, but sequences have 5 positions"),
        (["data=digits_scanners", "model=small_cnn", "model.untrained=true"], "varies sequences, the data are images"),
    ],
)
def test_wrong_requests_are_refused_in_one_line_at_dry_run(folder, capfd, words, said):
    asked = ["experiment=sweep", "data=sequences", "model=reader", "factor@experiment.factor=token", "dry_run=true"]
    kept = [word for word in asked if not any(word.split("=")[0] == w.split("=")[0] for w in words)]
    assert main(["--config-dir", "my_conf", *kept, *words]) == 2
    error = capfd.readouterr().err.strip()
    assert said in error and "\n" not in error
