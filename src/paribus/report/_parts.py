"""The sections of the page; each function returns finished HTML and escapes what it is given."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from paribus.report._values import escape, is_missing, is_number, short
from paribus.results.estimates import Estimate
from paribus.results.nested import flat
from paribus.results.schema import Diagnostics, Figure, Table

MAX_ROWS = 600
"""Rows of a table on a page: the heads of a language model in both directions fit."""
MAX_COLUMNS = 40
SIZES = ("mean_delta", "delta")
"""Columns of a table of effects that say how large each is."""


def facts(named: Iterable[tuple[str, Any]]) -> str:
    """Return what is to be known at a glance, each with its name; what is None or empty is left out."""
    shown = "".join(f"<span>{escape(n)} <b>{escape(short(v))}</b></span>" for n, v in named if v not in (None, ""))
    return f'<div class="facts">{shown}</div>'


def cards(found: Iterable[Estimate]) -> str:
    """Return headline numbers as cards, each with its unit and its interval."""
    made = []
    for each in found:
        interval = f'<div class="interval">{escape(each.interval)}</div>' if each.interval else ""
        made.append(
            f'<div class="card"><div class="name">{escape(each.label)}</div>'
            f'<div class="value">{escape(each.text)}</div>{interval}</div>'
        )
    return f'<div class="cards">{"".join(made)}</div>' if made else ""


def values(mapping: Mapping[str, Any]) -> str:
    """Return names and values: plain ones as one table, each nested one as a table of its own."""
    plain = {name: value for name, value in mapping.items() if not isinstance(value, list | tuple | Mapping)}
    nested = {name: value for name, value in mapping.items() if name not in plain}
    short_lists = {name: value for name, value in nested.items() if _is_flat(value)}
    parts = [pairs([*plain.items(), *short_lists.items()])]
    for name, value in nested.items():
        if name not in short_lists:
            parts.append(f"<h3>{escape(name)}</h3>{_nested(value)}")
    return "".join(parts)


def _is_flat(value: Any) -> bool:
    """Return whether a list holds no lists or mappings."""
    return not isinstance(value, Mapping) and not any(isinstance(each, list | tuple | Mapping) for each in value)


def _nested(value: Any) -> str:
    """Return a mapping, or a list of mappings or lists, as a table: one row for each entry."""
    if isinstance(value, Mapping):
        if not any(isinstance(each, Mapping) for each in value.values()):
            return pairs(value.items())
        rows = [
            {"": name, **(dict(each) if isinstance(each, Mapping) else {"value": each})} for name, each in value.items()
        ]
    else:
        rows = [dict(each) if isinstance(each, Mapping) else {"value": each} for each in value]
    names = list(dict.fromkeys(name for row in rows for name in row))[:MAX_COLUMNS]
    heads = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(short(row.get(name)))}</td>" for name in names) + "</tr>"
        for row in rows[:MAX_ROWS]
    )
    more = f'<p class="quiet">{MAX_ROWS} of {len(rows)} are shown.</p>' if len(rows) > MAX_ROWS else ""
    return f"{_scrolled(f'<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>')}{more}"


def _scrolled(table: str) -> str:
    """Return a table in a box that scrolls, by the keyboard too."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="table, scrolls">{table}</div>'


def sentences(lines: Sequence[Any]) -> str:
    """Return sentences as a list."""
    return f'<ul class="found">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>' if lines else ""


def box(kind: str, title: str, lines: Sequence[str]) -> str:
    """Return a coloured box with a title and a list; nothing if there is nothing to say."""
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="box {kind}"><b>{escape(title)}</b><ul>{items}</ul></div>'


def figure(declared: Figure, png: bytes | None) -> str:
    """Return a figure with its title and caption; one that was not drawn says so."""
    text = f"<b>{escape(declared.title)}</b>" + (f". {escape(declared.caption)}" if declared.caption else "")
    if png is None:
        return f"<figure><figcaption>{text} <i>(not drawn)</i></figcaption></figure>"
    data = base64.b64encode(png).decode("ascii")
    alt = escape(f"{declared.title}. {declared.caption}".strip())
    return (
        f'<figure id="figure-{escape(declared.name)}"><img alt="{alt}"{_width(png)} src="data:image/png;base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _width(png: bytes) -> str:
    """Return the width attribute that shows a drawing of 180 dpi at about its natural size (IHDR holds its pixels)."""
    return f' width="{int.from_bytes(png[16:20]) * 2 // 3}"' if png[12:16] == b"IHDR" else ""


def table(declared: Table, *, most_rows: int = MAX_ROWS, sortable: bool = True) -> str:
    """Return a table that can be sorted where the page's script runs; what is cut off is said.

    Args:
        declared: The table.
        most_rows: Rows to show; of effects the established and the largest come first.
        sortable: Whether headings are buttons.
    """
    frame = declared.frame
    rows, which = _rows_to_show(frame, most_rows)
    shown = frame.iloc[rows, :MAX_COLUMNS]
    heading = f'<h3>{escape(declared.name)} <span class="badge {escape(declared.evidence.value)}">'
    parts = [
        f"{heading}{escape(declared.evidence.value)}</span></h3>",
        f'<p class="quiet">{escape(declared.description)}',
    ]
    parts.append(f" {len(frame):,} rows." if len(frame) != 1 else " One row.")
    if len(frame) > most_rows:
        parts.append(f" {which} {most_rows} are shown; the complete table is an artifact of the run.")
    if len(frame.columns) > MAX_COLUMNS:
        parts.append(f" {MAX_COLUMNS} of {len(frame.columns)} columns are shown.")
    parts.append("</p>")
    if len(frame.columns):
        parts.append(_grid(shown, rows, declared.columns, sortable))
    if declared.columns:
        entries = "".join(f"<dt>{escape(n)}</dt><dd>{escape(m)}</dd>" for n, m in declared.columns.items())
        parts.append(f"<details><summary>What the columns mean</summary><dl>{entries}</dl></details>")
    return "".join(parts)


def _rows_to_show(frame: pd.DataFrame, most: int) -> tuple[list[int], str]:
    """Return at most so many rows in their order, and which: of effects those that sentences name come first."""
    size = next((name for name in SIZES if name in frame), None)
    if len(frame) <= most or "established" not in frame or size is None:
        return [*range(min(most, len(frame)))], "The first"
    open_ = ~frame["established"].eq(True)
    ranked = pd.DataFrame({"open": open_.to_numpy(), "size": -frame[size].abs().to_numpy()})
    kept = ranked.sort_values(["open", "size"], kind="stable").index[:most]
    return sorted(kept.tolist()), "The established and largest"


def _grid(frame: pd.DataFrame, places: Sequence[int], meanings: Mapping[str, str], sortable: bool) -> str:
    """Return rows with the place that each has in the complete table."""
    values = [frame.iloc[:, k].tolist() for k in range(len(frame.columns))]
    numeric = [any(map(is_number, v)) and all(is_number(x) or is_missing(x) for x in v) for v in values]
    heads = "".join(
        f'<th{_class(number)} title="{escape(meanings.get(str(name), ""))}">{_button(name, sortable)}</th>'
        for name, number in zip(frame.columns, numeric, strict=True)
    )
    rows = []
    for place, row in zip(places, zip(*values, strict=True), strict=True):
        cells = "".join(_cell(value, number) for value, number in zip(row, numeric, strict=True))
        rows.append(f"<tr>{_cell(place + 1, True)}{cells}</tr>")
    heads = f'<th class="number" title="what sentences name a row by">{_button("row", sortable)}</th>{heads}'
    kind = ' class="sortable"' if sortable else ""
    return _scrolled(f"<table{kind}><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>")


def _button(name: object, sortable: bool) -> str:
    return f"<button>{escape(name)}</button>" if sortable else escape(name)


def _class(number: bool) -> str:
    return ' class="number"' if number else ""


def _cell(value: Any, number: bool) -> str:
    raw = "" if is_missing(value) else (repr(float(value)).replace("inf", "Infinity") if number else short(value, 120))
    text = short(value)
    kind = "number" if number else ("wide" if len(text) > 60 else "")
    return f'<td{f" class={chr(34)}{kind}{chr(34)}" if kind else ""} data-value="{escape(raw)}">{escape(text)}</td>'


def diagnostics(found: Diagnostics) -> str:
    """Return the diagnostics that are not empty as a two-column table."""
    engine = found.engine
    rows: list[tuple[str, Any]] = [
        ("contexts tested", found.n_contexts_tested or None),
        ("contexts skipped", found.n_contexts_skipped or None),
        ("relu floor detected", found.relu_floor_detected),
        ("relu floor rate", found.relu_floor_rate),
        ("engine strategy", engine.strategy or None),
        ("evaluations asked for", engine.n_requested or None),
        ("evaluations made", engine.n_unique or None),
        ("largest difference to the hooked forward", engine.parity_max_abs_diff),
        *(
            (f"constraint {name}: edits dropped or flagged", count)
            for name, count in found.constraint_violations.items()
        ),
    ]
    return pairs((name, value) for name, value in rows if value is not None) or "<p>Nothing to report.</p>"


def pairs(rows: Iterable[tuple[str, Any]]) -> str:
    """Return names and values as a two-column table; a value of several lines is kept as it is."""
    made = []
    for name, value in rows:
        multi = isinstance(value, str) and "\n" in value
        shown = f"<pre>{escape(short(value, 20_000))}</pre>" if multi else escape(short(value, 2_000))
        made.append(f'<tr><td>{escape(name)}</td><td class="wide">{shown}</td></tr>')
    return _scrolled(f"<table><tbody>{''.join(made)}</tbody></table>") if made else ""


def folded(title: str, mapping: Mapping[str, Any]) -> str:
    """Return a nested mapping as a folded two-column table."""
    return closed(title, pairs(flat(mapping)))


def closed(title: str, rows: str) -> str:
    """Return a section that a click on its title opens."""
    return f"<details><summary>{escape(title)}</summary>{rows}</details>" if rows else "<p>None recorded.</p>"
