"""Runs a command in a work tree at a run's recorded commit, with the recorded changes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.errors import ConfigError

if TYPE_CHECKING:
    from paribus.results.schema import Result


def in_checkout(result: Result, arguments: Sequence[str]) -> int:
    """Run ``paribus reproduce ARGUMENTS`` with the code that a run was made with, and return its exit code.

    Code and folders of options that lie in the recorded repository are taken from the work tree; files that were in no
    commit then are not in it.

    Raises:
        ConfigError: If the code was not recorded completely, or its commit is not available.
    """
    repositories = [r for r in (result.provenance.get(key) for key in ("paribus_git", "git")) if r and r.get("commit")]
    if not repositories:
        raise ConfigError(f"run {(result.run_id or '')[:8]}: records no commit, so that its code cannot be checked out")
    places: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="paribus-checkout-") as scratch:
        try:
            for number, repository in enumerate(repositories):
                places[str(repository["top"])] = _work_tree(repository, Path(scratch) / str(number))
            # -P: else the folder it is called from comes before the work tree, with the code as it is now
            command = [sys.executable, "-P", "-m", "paribus", "reproduce", *arguments]
            command += [word for top, place in places.items() for word in ("--moved", f"{top}={place}")]
            done = subprocess.run(command, env=_environment(places), check=False)
        finally:
            for top, place in places.items():
                _git(top, "worktree", "remove", "--force", place)
    return done.returncode


def _work_tree(repository: Mapping[str, Any], place: Path) -> str:
    top, commit = str(repository["top"]), str(repository["commit"])
    if repository.get("diff_cut"):
        raise ConfigError(f"{top}: the recorded changes were too long to be kept whole; its code cannot be restored")
    problem = _git(top, "worktree", "add", "--detach", str(place), commit)
    if problem is not None:
        raise ConfigError(f"{top}: commit {commit[:12]} cannot be checked out ({problem})")
    if repository.get("diff"):
        problem = _git(str(place), "apply", "--whitespace=nowarn", "-", stdin=str(repository["diff"]))
        if problem is not None:
            _git(top, "worktree", "remove", "--force", str(place))
            raise ConfigError(f"{top}: the recorded changes do not apply to commit {commit[:12]} ({problem})")
    return str(place)


def _environment(places: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which the work trees come first on the import path."""
    first = [f"{place}/src" for place in places.values() if os.path.isdir(f"{place}/src/paribus")]
    moved = [_moved(entry, places) for entry in sys.path if entry]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys((*first, *moved)))}


def _moved(text: str, places: Mapping[str, str]) -> str:
    """Return the path in the work tree of a path in its repository."""
    path = os.path.abspath(text) if os.path.exists(text) else ""
    for top, place in places.items():
        if path and (path == top or path.startswith(f"{top}{os.sep}")) and "site-packages" not in path:
            return place + path[len(top) :]
    return text


def _git(folder: str, *arguments: str, stdin: str | None = None) -> str | None:
    """Run git; return its error message if it failed, else None."""
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments], input=stdin, capture_output=True, text=True, check=False
        )  # fmt: skip
    except OSError as error:
        return str(error)
    return None if done.returncode == 0 else " ".join((done.stderr or done.stdout).split())
