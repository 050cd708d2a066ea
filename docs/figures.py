"""Draws the figures of ``docs/experiments`` and writes the column tables there, from runs on the planted model.

``python -m docs.figures`` runs the command of every page; ``python -m docs.figures minimal_cores`` only that page's.
``--files FOLDER`` says where the files of language models lie; their pages are left out without it.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import paribus
from docs import columns

if TYPE_CHECKING:
    from paribus.results.schema import Result

PAGES = Path(__file__).parent / "experiments"
IMAGES = Path(__file__).parent / "images"
DPI = 90
SIZE = ("data.n_builds=600", "stats.n_null=99", "tracking=off")
"""What is added to a page's command where it does not say otherwise: enough contexts for a figure, in seconds."""


@dataclass(frozen=True)
class Page:
    """A page about one experiment type.

    Attributes:
        path: Its file; the stem is the experiment type.
        words: The overrides of the last ``paribus experiment=...`` command of its first block.
        before: Those of the commands before it, which make the model.
        figure: The figure it shows: ``![...](../images/TYPE.png "NAME")``; None where it shows none.
    """

    path: Path
    words: tuple[str, ...]
    figure: str | None
    before: tuple[tuple[str, ...], ...] = ()


def page(path: Path) -> Page:
    """Read a page's command and figure.

    Raises:
        ValueError: If it shows no command.
    """
    text = path.read_text(encoding="utf-8")
    block = re.search(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = block[1].replace("\\\n", " ").splitlines() if block else []
    commands = [tuple(shlex.split(line)[1:]) for line in lines if line.startswith("paribus experiment=")]
    if not commands:
        raise ValueError(f"{path.name} shows no `paribus experiment=...` command")
    figure = re.search(rf'\(\.\./images/{path.stem}\.png "(\w+)"\)', text)
    return Page(path, commands[-1], figure[1] if figure else None, tuple(commands[:-1]))


def perform(found: Page, size: Sequence[str] = SIZE) -> Result:
    """Run a page's commands in a temporary folder, at the given size, untracked where one is enough."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for words in found.before:
            paribus.run(list(words))
        return paribus.run(sized(found.words, () if found.before else size))


def found_in(folder: Path | None, words: Sequence[str]) -> tuple[str, ...] | None:
    """Return a command's words with the model's file as it lies below a folder; None where it is not there."""
    found = []
    for word in words:
        key, _, name = word.partition("=")
        if key == "model.path":
            files = sorted(folder.rglob(name)) if folder is not None else []
            if not files:
                return None
            word = f"{key}={files[0].resolve()}"
        found.append(word)
    return tuple(found)


def sized(words: Sequence[str], size: Sequence[str]) -> list[str]:
    """Return a command's words with those of ``size`` that it does not say itself."""
    said = {word.split("=")[0] for word in words}
    return [*words, *(word for word in size if word.split("=")[0] not in said)]


def draw(result: Result, name: str, file: Path) -> None:
    """Draw one figure of a result as a small PNG: 64 colours, no date in it."""
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    from paribus.figures import style
    from paribus.figures.about import about
    from paribus.figures.draw import draw as drawing

    (figure,) = [figure for figure in result.figures if figure.name == name]
    frames = {table: kept.frame for table, kept in result.tables.items()}
    drawn = drawing(figure, frames, about=about(result))
    buffer = io.BytesIO()
    with style.styled():
        FigureCanvasAgg(drawn)
        drawn.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    image = Image.open(buffer).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, optimize=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pages' commands; write figures and column tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("type", nargs="*", help="experiment types; all pages by default")
    parser.add_argument("--files", type=Path, help="folder below which the files of language models lie")
    asked = parser.parse_args(arguments)
    for path in sorted(PAGES.glob("*.md")):
        if path.stem == "index" or (asked.type and path.stem not in asked.type):
            continue
        found = page(path)
        words = found_in(asked.files, found.words)
        if words is None:
            print(f"{path.stem}: left out, its model is not there (--files)")
            continue
        language = words != found.words
        result = perform(replace(found, words=words), SIZE[1:] if language else SIZE)
        path.write_text(columns.filled(path.read_text(encoding="utf-8"), result), encoding="utf-8")
        if found.figure is not None:
            draw(result, found.figure, IMAGES / f"{path.stem}.png")
        print(f"{path.stem}: {', '.join(result.tables)}; figures {', '.join(f.name for f in result.figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
