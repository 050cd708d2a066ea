"""The code of a run in a work tree of its own: the recorded commit with the recorded changes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from paribus.cli import checkout
from paribus.errors import ConfigError
from paribus.running.reproduce import _in_work_trees
from paribus.tracking.changes import code
from paribus.tracking.provenance import git


@pytest.fixture
def recorded(tmp_path):
    def git(*words):
        ran = ["git", "-C", tmp_path, "-c", "user.name=x", "-c", "user.email=x@y", *words]
        return subprocess.run(ran, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    (tmp_path / "own.py").write_text("a = 1\n")
    git("add", ".")
    git("commit", "-qm", "first")
    (tmp_path / "own.py").write_text("a = 2\n")
    state = {"top": str(tmp_path), "commit": git("rev-parse", "HEAD").strip(), "diff": git("diff", "HEAD")}
    (tmp_path / "own.py").write_text("a = 3\n")
    return state


def asked(**provenance):
    return SimpleNamespace(run_id="0123456789", provenance=provenance)


def test_the_work_tree_holds_the_recorded_changes_and_is_gone_afterwards(recorded, monkeypatch):
    seen = {}
    real = subprocess.run

    def run(command, **settings):
        if "reproduce" not in command:
            return real(command, **settings)
        place = command[-1].partition("=")[2]
        at = command.index("-m")
        seen["code"], seen["words"] = (Path(place) / "own.py").read_text(), command[at + 3 :]
        imported = [*command[:at], "-c", "import own; print(own.a)"]
        seen["imported"] = real(imported, env=settings["env"], capture_output=True, text=True, check=True).stdout
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(checkout.subprocess, "run", run)
    monkeypatch.chdir(recorded["top"])  # where the code is another one by now
    monkeypatch.syspath_prepend(recorded["top"])
    assert checkout.in_checkout(asked(git=recorded), ["0123", "--json"]) == 1
    assert seen["code"] == "a = 2\n" and seen["imported"] == "2\n"
    assert seen["words"][:2] == ["0123", "--json"]
    listed = real(["git", "-C", recorded["top"], "worktree", "list"], capture_output=True, text=True).stdout
    assert len(listed.splitlines()) == 1


def test_code_is_compared_where_it_was_taken_from(recorded, tmp_path_factory):
    top, place = recorded["top"], checkout._work_tree(recorded, tmp_path_factory.mktemp("tree") / "0")
    here = {"git": git(Path(top))}
    assert any("own.py" in line for line in code({"git": recorded}, here))
    assert code({"git": recorded}, _in_work_trees(here, {top: place})) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"diff_cut": True}, "too long"),
        ({"commit": "0" * 40}, "cannot be checked out"),
        ({"diff": "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n"}, "do not apply"),
        ({"commit": None}, "records no commit"),
    ],
)
def test_code_that_cannot_be_restored_is_refused_with_the_reason(recorded, change, said):
    with pytest.raises(ConfigError, match=said):
        checkout.in_checkout(asked(git={**recorded, **change}), ["0123"])
