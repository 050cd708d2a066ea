"""Writes a gallery into a folder, and nothing outside of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from paribus.errors import DataError
from paribus.report._values import escape
from paribus.report.gallery.entry import Entry, links
from paribus.report.gallery.overview import overview, page
from paribus.report.page import render
from paribus.results.files import write_text

INDEX = "index.html"
MANIFEST = "paribus-gallery.json"
"""Names the files of a gallery, which tells its folder from any other, and which of them to replace."""
MOST_LINKS = 40
"""Links of one kind on a page; more are counted."""


def write(folder: Path, title: str, entries: Sequence[Entry]) -> list[Path]:
    """Write a gallery and return its files, the overview first; an older gallery there is replaced.

    Args:
        folder: Where it goes: a new or empty folder, or that of an older gallery.
        title: What it is called.
        entries: Its runs, in the order shown.

    Raises:
        DataError: If the folder holds something else, is a link, or cannot be written.

    Example:
        >>> [path.name for path in write(Path("gallery"), "Nothing yet", [])]
        ['index.html']
    """
    older = _older(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [_write(folder, INDEX, overview(title, entries))]
        for name, text in _pages(title, entries):
            written.append(_write(folder, name, text))
        names = [path.relative_to(folder).as_posix() for path in written]
        for name in sorted(set(older) - set(names)):
            _inside(folder, name).unlink(missing_ok=True)
        _write(folder, MANIFEST, json.dumps({"title": title, "files": names}, indent=1))
    except OSError as error:
        raise DataError(f"gallery: {folder}: cannot be written ({error.strerror or error})") from None
    return written


def _older(folder: Path) -> list[str]:
    """Return the files of the gallery that is there; none in a new folder.

    Raises:
        DataError: If the folder holds something else.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DataError(f"gallery: {folder}: is no folder of its own")
    if not folder.exists() or not any(folder.iterdir()):
        return []
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        if not isinstance(files, list):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"gallery: {folder}: is not empty and holds no gallery; name a new folder") from None
    return [str(name) for name in files]


def _inside(folder: Path, name: str) -> Path:
    """Return a file of the gallery.

    Raises:
        DataError: If the name, or a link on its way, leads out of the folder.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or path.is_symlink():
        raise DataError(f"gallery: {path}: leads out of {folder}")
    return path


def _write(folder: Path, name: str, text: str) -> Path:
    return write_text(_inside(folder, name), text)


def _pages(title: str, entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        around = (_top(title), _related(entry, entries))
        if entry.result is None:
            said = f"<h1>{escape(entry.title)}</h1><p>{escape(entry.status.lower())}: no result can be read.</p>"
            yield entry.page, page(entry.title, around[0] + said + around[1])
            continue
        command = entry.result.provenance.get("repeat")
        yield entry.page, render(entry.result, entry.figures, command=command, before=around[0], after=around[1])


def _top(title: str) -> str:
    return f'<p class="quiet"><a href="../{INDEX}">{escape(title)}</a></p>'


def _related(entry: Entry, entries: Sequence[Entry]) -> str:
    """Return the section of a page that links to other runs."""
    by_reason = links(entry, entries)
    if not by_reason and not entry.claim:
        return ""
    parts = []
    if entry.claim:
        parts.append(f"<p><b>Claim</b>: {escape(entry.claim)} <b>{escape(entry.verdict or 'not answered')}</b></p>")
    for why, others in by_reason.items():
        items = "".join(
            f'<li><a href="../{escape(other.page)}">{escape(other.title)}</a></li>' for other in others[:MOST_LINKS]
        )
        more = f"<li>and {len(others) - MOST_LINKS} more</li>" if len(others) > MOST_LINKS else ""
        summary = f"<summary>{escape(why)} ({len(others)})</summary>"
        opened = " open" if why != "same experiment" and len(others) <= 12 else ""
        parts.append(f'<details{opened}>{summary}<ul class="related">{items}{more}</ul></details>')
    return f'<h2 id="related">Other runs</h2>{"".join(parts)}'
