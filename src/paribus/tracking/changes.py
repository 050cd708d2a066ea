"""Differences between the environment of a run and the current one: code, packages, machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from paribus.results.nested import changes
from paribus.tracking.provenance import git_text

MACHINE = (
    "python", "platform", "host", "cpu", "cpu_count", "memory_bytes", "device", "dtype", "threads", "matmul_precision",
)  # fmt: skip
"""Properties of a machine and of its arithmetic."""
MOST = 12
CODE = (".py", ".yaml", ".yml", ".toml")
"""Endings of the files that are listed first."""
_FILE = re.compile(r"^diff --git a/(.*?) b/(.*)$", re.MULTILINE)


def code(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return how the code of a run differs from that of this process, file by file where git can tell.

    Args:
        before: Provenance of the run.
        now: Provenance of this process.
    """
    then, today = before.get("paribus"), now.get("paribus")
    found = [f"paribus {then} -> {today}"] if then and then != today else []
    for key in ("git", "paribus_git"):
        old, new = before.get(key), now.get(key)
        if old or new:
            found += _repository(old or {}, new or {})
    return found


def packages(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return which installed packages differ in version."""
    return [str(each) for each in changes(before.get("packages") or {}, now.get("packages") or {})]


def machine(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences between the machines; properties unknown for one of them are left out."""
    both = [name for name in MACHINE if name in before and name in now]
    return [str(each) for each in changes({n: before[n] for n in both}, {n: now[n] for n in both})]


def _repository(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield the changes of a repository: the commit, and each file that differs now."""
    commit = old.get("commit")
    if not commit:
        yield "the run was made outside a repository, or before its first commit: its code is not recorded"
        return
    if commit != new.get("commit"):
        yield f"commit {commit[:12]} -> {str(new.get('commit') or 'none')[:12]}"
    top = Path(new.get("top") or old["top"])
    today = git_text(top, "diff", commit, "--no-ext-diff", "--no-color")
    if today is None:
        yield f"the recorded commit {commit[:12]} is not in {top}: files cannot be compared"
        return
    recorded = sections(str(old.get("diff") or ""))
    current = sections(today)
    if old.get("diff_cut"):
        yield "the recorded diff was too long to be kept whole: files after its end cannot be told"
        current = {name: text for name, text in current.items() if name in recorded}
    other = [name for name in dict.fromkeys((*recorded, *current)) if recorded.get(name) != current.get(name)]
    other.sort(key=lambda name: not name.endswith(CODE))
    for name in other[:MOST]:
        line = _first_line(recorded.get(name, ""), current.get(name, ""))
        yield f"{name}{': ' + line if line else ''}"
    if len(other) > MOST:
        yield f"and {len(other) - MOST} more files"
    untracked = [str(name) for name in old.get("untracked") or ()]
    if untracked:
        yield f"files that were in no commit then, so that only a run's own list knows them: {', '.join(untracked[:5])}"


def sections(diff: str) -> dict[str, str]:
    """Return the parts of a diff by file; lines about commits (``index``) are left out.

    Example:
        >>> list(sections("diff --git a/x.py b/x.py"))
        ['x.py']
    """
    starts = list(_FILE.finditer(diff))
    ends = [*(match.start() for match in starts[1:]), len(diff)][: len(starts)]
    found = {}
    for match, end in zip(starts, ends, strict=True):
        lines = diff[match.end() : end].strip("\n").split("\n")
        found[match[2]] = "\n".join(line for line in lines if not line.startswith("index "))
    return found


def _first_line(before: str, now: str) -> str:
    """Return the first line that was added to, or taken from, a file since."""
    known = set(before.split("\n"))
    for line in now.split("\n"):
        if line[:1] in "+-" and line[:3] not in ("+++", "---") and line not in known and line[1:].strip():
            return line[:1] + " " + line[1:].strip()[:80]
    return ""
