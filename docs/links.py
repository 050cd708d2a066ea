"""Checks the links inside a rendered site: every page, picture and anchor that is named is there.

``python -m docs.links site`` prints what is broken and fails; links to other sites are left alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors of a page, and what it links to."""

    def __init__(self, text: str) -> None:
        """Read a page."""
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element's id, and where it leads."""
        values = dict(attrs)
        self.anchors.update(value for key in ("id", "name") if (value := values.get(key)))
        self.targets += [value for key in ("href", "src") if (value := values.get(key))]


def broken(site: Path) -> Iterator[str]:
    """Yield a line for every link of the pages under ``site`` that leads nowhere."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            file = file / "index.html" if file.is_dir() else file
            where = f"{path.relative_to(site.resolve())}: {target}"
            if not file.exists():
                yield f"{where} (no such file)"
            elif parts.fragment and file in pages and unquote(parts.fragment) not in pages[file].anchors:
                yield f"{where} (no such anchor)"


def main(arguments: Sequence[str]) -> int:
    """Print broken links; 1 if there are any."""
    found = list(broken(Path(arguments[0])))
    print("\n".join(found) or "every link inside the site leads somewhere", file=sys.stderr if found else sys.stdout)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
