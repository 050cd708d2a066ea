"""``paribus figures RUN OUT``: the figures of a finished run, drawn again into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.cli.arguments import Arguments
from paribus.cli.found import named_run
from paribus.config.settings import PDF, PNG
from paribus.errors import ConfigError, DataError, nearest
from paribus.figures.about import about
from paribus.figures.draw import draw
from paribus.figures.save import in_formats
from paribus.results.files import write_bytes

if TYPE_CHECKING:
    from paribus.results.schema import Result

CM_PER_INCH = 2.54
LEAST_CM, MOST_CM = 6.0, 60.0
SUMMARY = "draws a run's figures again, from its stored tables, into a folder"
USAGE = """
paribus figures RUN OUT [--formats png,pdf] [--width CM] [tracking=... tracking.folder=DIR]

RUN is the id of a run, its first digits, or latest. Its figures are drawn into the folder OUT as PNG and PDF; the run
itself is not touched. A file that is there already is replaced. With --width they are drawn as wide as they are to be
printed, such as 8.5 for one column: smaller texts, panels and legend under each other.
"""


def run(arguments: Sequence[str]) -> int:
    """Draw them.

    Raises:
        ParibusError: If there is no such run, it has no figures, or one cannot be drawn or written.
    """
    parser = Arguments("figures")
    parser.add_argument("run", nargs="?")
    parser.add_argument("out", nargs="?")
    parser.add_argument("--formats", default=f"{PNG},{PDF}")
    parser.add_argument("--width", type=float)
    parser.store_options()
    asked = parser.take(arguments)
    if not asked.run or not asked.out or "=" in asked.run or "=" in asked.out:
        raise ConfigError("figures: wants a run and a folder (paribus figures RUN OUT; paribus runs lists the runs)")
    formats = _formats(asked.formats)
    if asked.width is not None and not LEAST_CM <= asked.width <= MOST_CM:
        raise ConfigError(f"figures: --width wants {LEAST_CM:g} to {MOST_CM:g} cm, got {asked.width:g}")
    store, one = named_run("figures", asked)
    inches = None if asked.width is None else asked.width / CM_PER_INCH
    for path in drawn(store.result(one.run_id), Path(asked.out), formats, inches):
        print(path)
    return 0


def _formats(text: str) -> tuple[str, ...]:
    found = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    for name in found:
        if name not in (PNG, PDF):
            raise ConfigError(f"figures: --formats {name!r}: {nearest(name, (PNG, PDF))}")
    if not found:
        raise ConfigError("figures: --formats wants png, pdf, or both")
    return found


def drawn(result: Result, folder: Path, formats: Sequence[str], width: float | None = None) -> list[Path]:
    """Draw the figures of a result into a folder, so many inches wide where it is asked, and return the files.

    Raises:
        ConfigError: If it has none.
        ExperimentError: If one cannot be drawn from its tables.
        DataError: If the folder cannot be written.
    """
    if not result.figures:
        raise ConfigError(f"figures: run {(result.run_id or '')[:8]} ({result.experiment_type}) has no figures")
    frames = {name: table.frame for name, table in result.tables.items()}
    written: list[Path] = []
    for figure in result.figures:
        for name, content in in_formats(draw(figure, frames, about=about(result), width=width), formats).items():
            try:
                written.append(write_bytes(folder / f"{figure.name}.{name}", content))
            except OSError as error:
                raise DataError(f"figures: {folder}: cannot be written ({error.strerror or error})") from None
    return written
