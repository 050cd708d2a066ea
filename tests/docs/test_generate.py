from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from paribus.config import catalogue
from paribus.spec import Spec

FILE = Path(__file__).parents[2] / "docs" / "generate.py"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("docs_generate", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date(generate):
    assert generate.stale(generate.pages()) == [], "run: python -m docs.generate"


def test_every_option_and_every_variable_is_in_it(generate):
    made = generate.pages()
    for group in catalogue.groups():
        page = made[f"{group}.md"]
        for option in catalogue.options(group):
            assert f"`{option.name}`" in page or f"{group}={option.name}`" in page
            cls = option.load() if option.target else None
            if isinstance(cls, type) and issubclass(cls, Spec):
                for variable in catalogue.variables(cls):
                    assert f"`{group}.{variable.name}`" in page


def test_check_finds_what_is_stale_missing_or_left_over(generate, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "FOLDER", tmp_path / "reference")
    assert generate.main(["--check"]) == 1
    assert not (tmp_path / "reference").exists()
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    (tmp_path / "reference" / "model.md").write_text("other")
    (tmp_path / "reference" / "gone.md").write_text("left over")
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err.startswith("stale: gone.md, model.md")
    assert generate.main([]) == 0
    assert not (tmp_path / "reference" / "gone.md").exists()
    assert generate.main(["--check"]) == 0
