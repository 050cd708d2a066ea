"""A result in a notebook cell: headline with intervals, evidence, figures, tables to unfold, and where it is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from paribus.figures.about import about
from paribus.figures.draw import draw
from paribus.figures.save import png_bytes
from paribus.report import _parts
from paribus.report._look import CSS
from paribus.report._values import escape
from paribus.results import display
from paribus.results.found import lines
from paribus.results.schema import Figure, Result, Table

MOST_FIGURES = 6
"""More are named and not drawn: each takes about 100 kB in the notebook."""
MOST_ROWS = 50
CLASS = "paribus"
PAPER = f"""
.{CLASS} {{ background: var(--paper); color: var(--ink); padding: 10px 20px; font: 14px/1.5 system-ui, sans-serif; }}
.{CLASS} h2 {{ margin-top: 6px; color: var(--ink); }}
"""
"""A notebook may be dark; a figure is not."""
_GLOBAL = ("html", "body", "main", "nav")


def show_results() -> None:
    """Let results and tables show themselves in the notebook of this process."""
    display.drawn_by("Result", cell)
    display.drawn_by("Table", table_cell)


def cell(result: Result) -> str:
    """Return what a notebook shows of ``result``: one block of HTML that loads nothing and runs no script.

    Args:
        result: What was found. Its figures are drawn from its tables.
    """
    evidence = escape(result.evidence.value)
    title = result.experiment_type + (f": {result.feature}" if result.feature else "")
    parts = [
        f'<h2>{escape(title)} <span class="badge {evidence}">{evidence}</span></h2>',
        _facts(result),
        "" if result.success else _parts.box("bad", "This run did not finish", [result.error_message or "no message"]),
        _parts.sentences(lines(result)),
        _parts.box("warn", "Warnings", result.diagnostics.warnings),
        _figures(result),
        *(_folded(table) for table in result.tables.values()),
        f"<details><summary>diagnostics</summary>{_parts.diagnostics(result.diagnostics)}</details>",
        f'<p class="quiet">{escape(kept_where(result))}</p>',
    ]
    return _block("\n".join(filter(None, parts)))


def table_cell(table: Table) -> str:
    """Return what a notebook shows of one table."""
    return _block(_parts.table(table, most_rows=MOST_ROWS, sortable=False))


def kept_where(result: Result) -> str:
    """Return where a result is kept, and how to look at it there."""
    if result.run_id is None:
        return "Not tracked (tracking=off)."
    tracking: Mapping[str, Any] = result.config.get("tracking") or {}
    folder = str(tracking.get("folder") or ".")
    if tracking.get("kind") == "server":
        place = f"on {tracking.get('uri')}"
    else:
        place = "in this folder" if folder == "." else f"in {folder}"
    name = tracking.get("experiment") or "paribus"
    taken = "Taken from run" if result.reused else "Run"
    look = f"paribus show {result.run_id[:8]}, paribus ui"
    return f"{taken} {result.run_id} of the MLflow experiment {name!r} {place}: {look}"


def _facts(result: Result) -> str:
    facts: Sequence[tuple[str, Any]] = (
        ("subject", result.subject),
        ("model", result.model),
        ("contexts", result.diagnostics.n_contexts_tested or None),
        ("seconds", result.duration_seconds),
    )
    return _parts.facts(facts)


def _figures(result: Result) -> str:
    frames = {name: table.frame for name, table in result.tables.items()}
    drawn = "".join(_parts.figure(each, _png(each, frames, about(result))) for each in result.figures[:MOST_FIGURES])
    rest = [each.name for each in result.figures[MOST_FIGURES:]]
    more = f'<p class="quiet">Further figures, in report.html of the run: {escape(", ".join(rest))}</p>' if rest else ""
    return drawn + more


def _png(figure: Figure, frames: Mapping[str, Any], told: str) -> bytes | None:
    try:
        return png_bytes(draw(figure, frames, about=told))
    except Exception:  # as in a run: a drawing that fails must not hide the numbers
        return None


def _folded(table: Table) -> str:
    rows = "one row" if len(table.frame) == 1 else f"{len(table.frame):,} rows"
    summary = f"<summary>table <b>{escape(table.name)}</b>, {rows}: {escape(table.description)}</summary>"
    return f"<details>{summary}{_parts.table(table, most_rows=MOST_ROWS, sortable=False)}</details>"


def _block(content: str) -> str:
    return f'<div class="{CLASS}"><style>{scoped(CSS)}{PAPER}</style>\n{content}\n</div>'


def scoped(css: str) -> str:
    """Return style rules that apply inside a block of :data:`CLASS` only: the rest of a notebook keeps its looks.

    >>> scoped("p, h2 { margin: 0 }  body { margin: 0 }")
    '.paribus p, .paribus h2 { margin: 0 }'
    """
    plain = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*\s*\}", "", css)
    rules = []
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", plain):
        kept = [
            f".{CLASS} {each}".replace(f".{CLASS} :root", f".{CLASS}") for each in map(str.strip, selectors.split(","))
        ]
        kept = [each for each in kept if each.split()[-1] not in _GLOBAL and f" {_GLOBAL[-1]} " not in each]
        if kept:
            rules.append(f"{', '.join(kept)} {{{body}}}")
    return "\n".join(rules)
