"""Provenance says which code, which packages and which machine, and asks once per process."""

from __future__ import annotations

import json
import subprocess

from paribus.results.values import plain
from paribus.tracking import provenance


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_commit_dirty_flag_diff_and_untracked_files(tmp_path):
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "a.txt").write_text("one\n")
    git(tmp_path, "add", "a.txt")
    git(tmp_path, "commit", "-q", "-m", "first")
    clean = provenance.git.__wrapped__(tmp_path)
    assert clean["dirty"] is False and clean["diff"] == "" and clean["branch"] == "trunk" and len(clean["commit"]) == 40
    (tmp_path / "a.txt").write_text("two ü\n")
    (tmp_path / "new.txt").write_text("x")
    dirty = provenance.git.__wrapped__(tmp_path)
    assert dirty["dirty"] is True and "+two ü" in dirty["diff"] and dirty["untracked"] == ["new.txt"]
    (tmp_path / "a.txt").write_text("x" * 300_000)
    huge = provenance.git.__wrapped__(tmp_path)
    assert huge["diff_cut"] is True and len(huge["diff"]) == provenance.MAX_DIFF


def test_outside_a_repository_and_before_the_first_commit(tmp_path):
    assert provenance.git.__wrapped__(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert provenance.git.__wrapped__(tmp_path)["commit"] is None


def test_it_is_plain_complete_and_collected_once(workdir):
    found = provenance.provenance()
    json.dumps(plain(found), allow_nan=False)
    for name in ("command", "python", "platform", "host", "cpu_count", "packages", "paribus", "git", "working_folder"):
        assert name in found
    assert "numpy" in found["packages"] and found["working_folder"] == str(workdir)
    before = provenance._process.cache_info().misses
    provenance.provenance()
    assert provenance._process.cache_info().misses == before == 1


def test_the_command_is_what_was_typed_with_the_programs_name(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/some/where/paribus", "-m", "seed=range(3)", "a b"])
    assert provenance._process.__wrapped__()["command"] == "paribus -m 'seed=range(3)' 'a b'"
