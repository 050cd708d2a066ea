"""What the page for contributors says is there, and a commit is checked as CI checks it."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_a_commit_is_checked_by_the_linters_of_ci():
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    in_ci = {line.split("$(BIN)/")[1].replace(" src tests benchmarks", "") for line in lint.splitlines()[1:]}
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    before_a_commit = {hook["entry"].removeprefix(".venv/bin/").replace(" --force-exclude", "") for hook in hooks}
    assert before_a_commit == in_ci


def test_targets_and_folders_that_are_named_exist():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    made = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)|`make (\w+)`", page, re.MULTILINE):
        assert re.search(rf"^{target[0] or target[1]}:", made, re.MULTILINE), target
    for folder in re.findall(r"`((?:tests|conf|src)/[\w/.]+)`", page):
        assert (ROOT / folder).exists(), folder
    for room in re.findall(r"`(\w+)/`", page):
        assert (ROOT / room).is_dir() or (ROOT / "src" / "paribus" / room).is_dir(), room
