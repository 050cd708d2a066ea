"""What is no longer as it was when a run was made is named: code to the line, packages, machine."""

from __future__ import annotations

import subprocess

import pytest

from paribus.tracking import changes, provenance


@pytest.fixture
def repository(tmp_path):
    def git(*words):
        subprocess.run(
            ["git", "-C", tmp_path, "-c", "user.name=x", "-c", "user.email=x@y", *words],
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    (tmp_path / "own.py").write_text("a = 1\nb = 2\n")
    (tmp_path / "other.py").write_text("c = 3\n")
    git("add", ".")
    git("commit", "-qm", "first")
    return tmp_path, git


def state(folder):
    provenance.git.cache_clear()
    return {"git": provenance.git(folder)}


def test_nothing_is_said_where_nothing_changed(repository):
    folder, _ = repository
    (folder / "own.py").write_text("a = 1\nb = 5\n")  # as it was, with its own changes
    assert changes.code(state(folder), state(folder)) == []


def test_a_changed_line_is_named_whether_it_was_committed_or_not(repository):
    folder, git = repository
    before = state(folder)
    (folder / "own.py").write_text("a = 1\nb = 7\n")
    assert changes.code(before, state(folder)) == ["own.py: - b = 2"]
    git("commit", "-qam", "second")
    (folder / "other.py").write_text("c = 4\n")
    said = changes.code(before, state(folder))
    assert said[0].startswith("commit ") and set(said[1:]) == {"own.py: - b = 2", "other.py: - c = 3"}


def test_changes_that_are_gone_are_named(repository):
    folder, _ = repository
    (folder / "own.py").write_text("a = 1\nb = 5\n")
    before = state(folder)
    (folder / "own.py").write_text("a = 1\nb = 2\n")
    assert changes.code(before, state(folder)) == ["own.py"]


def test_what_git_cannot_tell_is_said(repository):
    folder, _ = repository
    before = {"git": {**state(folder)["git"], "commit": "0" * 40}}
    assert any("is not in" in line for line in changes.code(before, state(folder)))
    assert any("not recorded" in line for line in changes.code({"git": {"commit": None, "top": "x"}}, {}))


def test_packages_and_machine_are_compared_by_name():
    before = {"packages": {"numpy": "2.4.6", "gone": "1"}, "threads": 1, "cpu": "a"}
    now = {"packages": {"numpy": "2.4.7"}, "threads": 2, "cpu": "a", "device": "cpu"}
    assert changes.packages(before, now) == ["numpy: 2.4.6 -> 2.4.7", "gone: 1 -> (not there)"]
    assert changes.machine(before, now) == ["threads: 1 -> 2"]
