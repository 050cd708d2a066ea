"""Every experiment has a page whose commands run, and which explains every column that comes out."""

from __future__ import annotations

import re
import shutil
import sys
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import pytest

import paribus
from paribus.config import catalogue
from paribus.tracking.relocate import relocate

pytestmark = pytest.mark.usefixtures("undrawn_figures")  # the contract draws those of every type
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "experiments"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.stem != "index")
WITHOUT_PAGE = {
    "train_set_completion",
    "train_sae",
    "train_classifier",
    "train_modular_addition",
    "sequence",
}  # they make what the others need; see the reference
HEADINGS = {
    "builds": ["What it asks", "What it does to the model", "What it cannot tell", "What the columns mean"],
    "tokens": ["What it asks", "What it does to the model", "What it cannot tell", "What the columns mean"],
    "any": ["What it asks", "What it does to the model", "What it cannot tell", "What the columns mean"],
    "images": [
        "What it asks",
        "What it does to the model",
        "How to read it",
        "What it cannot tell",
        "What the columns mean",
    ],
}
SMALL = {
    "stats": "stats=quick",
    "data.n_builds": "data.n_builds=200",
    "tracking": "tracking=off",
    "experiment.n_shuffles": "experiment.n_shuffles=99",
}


CIRCLES = [
    *("data.p=11", "model=modular_transformer", "model.d_model=16", "stats=quick", "tracking=off"),
    f"model.weights={ROOT / 'tests' / 'golden' / 'weights' / 'modular.safetensors'}",
]
"""Instead of a training: a network whose embedding has two planted circles."""
LATENTS = [
    *("data=modular_addition", "experiment.place=blocks.0", "experiment.n_vectors=100", "experiment.n_random=19"),
    f"experiment.path={ROOT / 'tests' / 'golden' / 'weights' / 'modular_sae.safetensors'}",
    f"experiment.other_path={ROOT / 'tests' / 'golden' / 'weights' / 'modular_sae_other.safetensors'}",
]
"""Instead of two trainings: two autoencoders of that network."""
REPEATS = [
    *("data.n_tokens=40", "data.length=6", "data.n_sequences=8", "model={_target_:induction.Repeats}"),
    *("stats=quick", "tracking=off"),
]
"""Instead of a language model: a network whose heads are known."""
TRAINING = ["data.n_train=200", "data.n_eval=120", "data.image_size=8", "training.epochs=4", "training.n_checkpoints=2"]
QUICK = {"stats": "stats=quick", "experiment.n_controls": "experiment.n_controls=1"}
SUBJECTS = {option.name: option.load().subject for option in catalogue.options("experiment")}


@pytest.fixture(scope="module")
def modules():
    sys.path.insert(0, str(ROOT))
    try:
        from docs import columns, figures

        yield columns, figures
    finally:
        sys.path.remove(str(ROOT))


def test_every_type_on_some_data_has_a_page_and_no_other_thing_has():
    types = {name for name, subject in SUBJECTS.items() if subject in HEADINGS}
    assert types - {path.stem for path in PAGES} <= WITHOUT_PAGE
    assert {path.stem for path in PAGES} <= types
    index = (FOLDER / "index.md").read_text()
    assert all(f"]({path.name})" in index for path in PAGES)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_says_what_it_should(path):
    text = path.read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS[SUBJECTS[path.stem]]
    image = ROOT / "docs" / "images" / f"{path.stem}.png"
    assert f"](../images/{image.name} " in text
    assert 1000 < image.stat().st_size < 60_000
    assert len(re.findall(r"^\* ", text, re.MULTILINE)) >= 2


VALUES = {"max_abs"}
"""Words that are a column of one table and a value of a column of another."""


def tables_of(text):
    """Return the columns of every table of a page, with their meanings."""
    parts = re.split(r"^### `(\w+)`", text, flags=re.MULTILINE)
    rows = [dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", part, re.MULTILINE)) for part in parts[2::2]]
    return list(zip(parts[1::2], rows, strict=True))


def test_meanings_name_columns_of_their_own_table():
    pages = [(path.stem, tables_of(path.read_text())) for path in PAGES]
    known = {column for _, tables in pages for _, columns in tables for column in columns} - VALUES
    wrong = [
        f"{page}: {table}.{column}: {word}"
        for page, tables in pages
        for table, columns in tables
        for column, meaning in columns.items()
        for word in set(re.findall(r"\b[a-z]+_[a-z_]+\b", meaning)) & known - set(columns)
    ]
    assert not wrong


def shown_on(path):
    """Return the data that a page's commands are about: images where they train a model first."""
    subject = SUBJECTS[path.stem]
    if "experiment=train_modular_addition" in path.read_text():
        return "tokens"
    return subject if subject != "any" else "images" if "experiment=train_classifier" in path.read_text() else "builds"


def on(subject):
    chosen = [path for path in PAGES if shown_on(path) == subject]
    return pytest.mark.parametrize("path", chosen, ids=lambda path: path.stem)


@on("builds")
def test_its_command_runs_and_every_column_is_explained(path, modules):
    columns, figures = modules
    page = figures.page(path)
    small = [word for key, word in SMALL.items() if key != "experiment.n_shuffles" or path.stem == "shuffle_null"]
    kept = tuple(word for word in page.words if word.split("=")[0] not in SMALL)
    check(path, page, figures.perform(replace(page, words=kept), small), columns)


@pytest.fixture(scope="module")
def trained(modules, tmp_path_factory, migrated_database):
    """Return a folder in which the model of the pages about images is trained, small; all of them train the same."""
    _, figures = modules
    pages = [figures.page(path) for path in PAGES if shown_on(path) == "images"]
    (before,) = {page.before for page in pages}
    folder = tmp_path_factory.mktemp("trained")
    shutil.copy2(migrated_database, folder / "mlflow.db")
    relocate(folder)
    with chdir(folder):
        for words in before:
            paribus.run([*words, *TRAINING])
    return folder


@on("images")
def test_its_commands_run_on_images_and_every_column_is_explained(path, modules, trained):
    columns, figures = modules
    page = figures.page(path)
    quick = [word for key, word in QUICK.items() if key == "stats" or path.stem == "probe_trajectory"]
    with chdir(trained):
        check(path, page, paribus.run(figures.sized(page.words, quick)), columns)


@on("tokens")
def test_its_commands_run_on_tokens_and_every_column_is_explained(path, modules, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "golden"))
    columns, figures = modules
    page = figures.page(path)
    language, matched = "model=hf" in page.words, "experiment=match_features" in page.words
    assert page.before[: 1 if matched else None] == (() if language else (("experiment=train_modular_addition",),))
    assert [words[0] for words in page.before[1:]] == ["experiment=train_sae"] * (2 if matched else 0)
    words = [word for word in page.words if not word.startswith(("model", "experiment.other_run"))]
    known = REPEATS if language else [*CIRCLES, *(LATENTS if matched else [])]
    check(path, page, paribus.run([*words, *known]), columns)


def check(path, page, result, columns):
    assert page.figure in {figure.name for figure in result.figures}
    text = path.read_text()
    for name, table in result.tables.items():
        section = re.search(rf"^### `{name}` \((\w+)\)\n(.*?)(?=^###|\Z)", text, re.MULTILINE | re.DOTALL)
        assert section, f"{path.name} has no table {name}; run: python -m docs.figures {path.stem}"
        assert section[1] == str(table.evidence)
        for column, meaning in columns.meanings(result, name).items():
            line = next((line for line in section[2].splitlines() if line.startswith(f"| `{column}` |")), None)
            assert line is not None, f"{name}.{column} is missing; run: python -m docs.figures {path.stem}"
            if not re.search(r"\d", meaning):  # numbers in a meaning are those of the run
                assert " ".join(meaning.split()).replace("|", "\\|") in line


def test_the_survey_page_explains_the_columns_of_another_network():
    from paribus.experiments.any.feature_survey import report as report

    text = (FOLDER / "feature_survey.md").read_text()
    for name, meanings in (("features", report.COLUMNS), ("screened", report.SCREENED), ("chosen", report.CHOSEN)):
        section = re.search(
            rf"^### `{name}` \(\w+, another network\)\n(.*?)(?=^###|\Z)", text, re.MULTILINE | re.DOTALL
        )
        rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section[1], re.MULTILINE)
        assert rows == list(meanings.items())


def test_a_column_that_nothing_explains_is_refused(modules):
    import pandas as pd

    from paribus.results.evidence import Evidence
    from paribus.results.schema import Aggregates, Diagnostics, Result, Table

    columns, _ = modules
    frame = pd.DataFrame({"gap_low": [1.0], "p_adj": [1.0], "odd": [1.0]})
    table = Table("rows", "One row.", Evidence.WEIGHTS, frame, {})
    result = Result("", "x", Evidence.WEIGHTS, None, None, "builds", Aggregates(), {"rows": table}, Diagnostics())
    with pytest.raises(KeyError, match="rows.odd is explained nowhere"):
        columns.meanings(result, "rows")
    del frame["odd"]
    assert columns.meanings(result, "rows")["gap_low"] == "lower end of the interval of `gap`"
    filled = columns.filled(f"a\n{columns.BEGIN}\nold\n{columns.END}\nb", result)
    assert filled.startswith(f"a\n{columns.BEGIN}") and filled.endswith(f"{columns.END}\nb") and "old" not in filled
    for column, meaning in {
        "gap_adj_high": "upper end of the interval of `gap` that holds for all rows of the table together",
        "ci_adj_low_absent": "lower end of the interval of `absent` that holds for all rows of the table together",
        "own_ci_method": "how the interval of `own` was made, or none and why",
        "p_kit_method": "how the p of `kit` was made, or none and why",
        "p_method_z": "how the p of `z` was made, or none and why",
        "own_p": "p of `own`: is it zero?",
    }.items():
        frame[column] = 1.0
        assert columns.meanings(result, "rows")[column] == meaning
