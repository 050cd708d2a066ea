"""The rendered site: every page has its place in it, and the checker of its links finds what is broken."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def docs():
    sys.path.insert(0, str(ROOT))
    try:
        from docs import conf, links

        yield conf, links
    finally:
        sys.path.remove(str(ROOT))


def test_every_page_has_a_place_in_the_navigation(docs):
    conf, _ = docs
    listed = ["index"]
    for document, groups in conf.NAVIGATION.items():
        shown = re.findall(r"^([\w/]+)$", conf.navigation(document), re.MULTILINE)
        assert shown == [page for pages in groups.values() for page in pages]
        listed += [str(Path(document).parent / page) for page in shown]
    pages = {str(path.relative_to(conf.HERE).with_suffix("")) for kind in ("md", "ipynb") for path in _pages(kind)}
    assert sorted(listed) == sorted({*pages, "api/index"})
    assert conf.navigation("concepts") == ""


def _pages(kind):
    return [path for path in (ROOT / "docs").rglob(f"*.{kind}") if path.parent.name != "api"]


def test_every_offered_name_is_on_a_page_of_the_api(docs):
    conf, _ = docs
    rooms = conf.rooms()
    assert rooms[0] == "paribus" and len(rooms) == len(set(rooms))
    at = conf.homes(rooms)
    front, room = conf.api_page("paribus", at), conf.api_page("paribus.engine", at)
    for line in ("autofunction:: paribus.run", "autoexception:: paribus.ConfigError", "autoclass:: paribus.Engine"):
        assert f".. {line}\n" in front
    assert "__version__" not in front
    assert "| {py:obj}`~paribus.Engine` | Evaluates interventions" in room
    assert "autoclass:: paribus.engine.Engine\n" not in room and "autoclass:: paribus.engine.Graft\n" in room


def test_dead_links_are_found(docs, tmp_path, capsys):
    _, links = docs
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top"></h1><a href="sub/">a</a><a href="sub/index.html#there">b</a><a href="#top">c</a>'
        '<a href="https://example.org/gone">d</a><a href="#">e</a>'
    )
    (tmp_path / "sub" / "index.html").write_text('<p id="there"><img src="../no.png"><a href="../index.html#gone">')
    assert links.main([str(tmp_path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "no.png (no such file)" in lines[0] and "index.html#gone (no such anchor)" in lines[1]
    (tmp_path / "sub" / "index.html").write_text('<p id="there">')
    assert links.main([str(tmp_path)]) == 0
