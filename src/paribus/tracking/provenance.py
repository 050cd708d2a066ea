"""Provenance of results: command, code, packages and hardware, collected once per process."""

from __future__ import annotations

import getpass
import hashlib
import importlib.metadata
import os
import platform
import shlex
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from paribus.tracking.spec import without_password

MAX_DIFF = 200_000
MAX_UNTRACKED = 200
GIT_SECONDS = 20.0


def provenance() -> dict[str, Any]:
    """Return the provenance of results of this process, as plain values.

    Keys: ``command, working_folder, python, platform, host, user, cpu, cpu_count, memory_bytes, paribus, packages``,
    and ``git`` of the working folder (``commit, branch, dirty, diff, diff_cut, untracked``; None outside a repository),
    with ``paribus_git`` beside it where the package itself is in another repository.
    """
    own = _package_repository()
    here = git(Path.cwd())
    found = dict(_process())
    found["working_folder"] = str(Path.cwd())
    found["git"] = here
    if own is not None and (here is None or own["top"] != here["top"]):
        found["paribus_git"] = own
    return found


def code_version(provenance: dict[str, Any]) -> str | None:
    """Return the commit of the code, with a digest of the diff if there are changes; without git, the version."""
    repository = provenance.get("paribus_git") or provenance.get("git")
    if not repository or not repository.get("commit"):
        return provenance.get("paribus") or None
    commit = str(repository["commit"])
    diff = repository.get("diff") or ""
    return f"{commit}+{hashlib.sha256(diff.encode()).hexdigest()[:8]}" if diff else commit


@cache
def _process() -> dict[str, Any]:
    return {
        "command": without_password(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "user": _user(),
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
        "memory_bytes": _memory(),
        "paribus": version(),
        "packages": packages(),
    }


def version() -> str:
    """Return the version of Paribus, empty where it is not installed as a distribution."""
    try:
        return importlib.metadata.version("paribus")
    except importlib.metadata.PackageNotFoundError:
        return ""


@cache
def packages() -> dict[str, str]:
    """Return the installed distributions and their versions, by name."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found[str(name)] = str(distribution.version)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


@cache
def git(folder: Path) -> dict[str, Any] | None:
    """Return commit, branch, dirty flag, bounded diff and untracked files of the repository around ``folder``."""
    top = git_text(folder, "rev-parse", "--show-toplevel")
    if top is None:
        return None
    commit = git_text(folder, "rev-parse", "HEAD")
    status = (git_text(folder, "status", "--porcelain=v1", "--untracked-files=normal") or "").splitlines()
    untracked = [line[3:] for line in status if line.startswith("??")]
    diff = (git_text(folder, "diff", "HEAD", "--no-ext-diff", "--no-color") or "") if commit else ""
    return {
        "top": top.strip(),
        "commit": commit.strip() if commit else None,
        "branch": (git_text(folder, "rev-parse", "--abbrev-ref", "HEAD") or "").strip() or None,
        "dirty": bool(status),
        "diff": diff[:MAX_DIFF],
        "diff_cut": len(diff) > MAX_DIFF,
        "untracked": untracked[:MAX_UNTRACKED],
    }


def _package_repository() -> dict[str, Any] | None:
    """Return the repository of the package, None where it is installed into an environment."""
    folder = Path(__file__).resolve().parent
    return None if "site-packages" in folder.parts else git(folder)


def git_text(folder: Path, *arguments: str) -> str | None:
    """Return what a git command prints in a folder; None where it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _user() -> str:

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
