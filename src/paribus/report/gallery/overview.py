"""The overview of a gallery: filters, a card for every run, and the pages of features, comparisons and claims."""

from __future__ import annotations

import base64
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC

from PIL import Image

from paribus.report._look import CSS as PAGE_CSS
from paribus.report._look import document
from paribus.report._values import escape
from paribus.report.gallery._look import CSS, SCRIPT
from paribus.report.gallery.entry import COMPARISON, Entry, choices, features
from paribus.results.estimates import estimates
from paribus.results.found import sentences
from paribus.results.words import counted

NUMBERS = 3
"""Headline numbers on a card."""
THUMBNAIL = 520
"""Width of a thumbnail, pixels: sharp at twice the density of a card."""
_INTERVAL = re.compile(r"\[[^\[\]]*\d, [^\[\]]*\d[^\[\]]*\]|CI \S+ to ")
_FIRST = ("experiment", "study", "training", "feature", "evidence", "status")


def overview(title: str, entries: Sequence[Entry]) -> str:
    """Return the overview as a complete page without outside resources.

    Args:
        title: What the gallery is called.
        entries: Its runs, in the order shown.
    """
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="facts"><span>runs <b>{len(entries)}</b></span>{_span(entries)}</p>',
        _claims(entries),
        _comparisons(entries),
        _features(entries),
        '<h2 id="runs">Runs</h2>',
        _filters(entries),
        f'<ul class="runs">{"".join(map(_card, entries))}</ul>' if entries else "<p>No runs.</p>",
    ]
    return page(title, "\n".join(filter(None, parts)), script=True)


def page(title: str, content: str, *, script: bool = False) -> str:
    """Return a page of the gallery.

    Args:
        title: Its title.
        content: Finished HTML.
        script: Whether it filters.
    """
    own = f"<script>{SCRIPT}</script>" if script else ""
    skip = '<a class="skip" href="#content">Skip to the content</a>'
    body = f'{skip}<main id="content">\n{content}\n</main>{own}'
    return document(title, f"{PAGE_CSS}{CSS}", body, script=SCRIPT, further="form-action 'none'; ")


def _span(entries: Sequence[Entry]) -> str:
    days = sorted(entry.started.astimezone(UTC).strftime("%Y-%m-%d") for entry in entries)
    if not days:
        return ""
    return f"<span>{days[0]}</span>" if days[0] == days[-1] else f"<span>{days[0]} to {days[-1]}</span>"


def _filters(entries: Sequence[Entry]) -> str:
    if len(entries) < 2:
        return ""
    known = choices(entries)
    names = [*(name for name in _FIRST if name in known), *(name for name in known if name not in _FIRST)]
    selects = "".join(_select(name, known[name]) for name in names)
    return (
        '<form class="filters"><label>search<input type="search" name="words" autocomplete="off"></label>'
        f'{selects}<button type="reset">show all</button></form>'
        f'<p class="quiet" id="said" role="status">{len(entries)} of {len(entries)} runs shown</p>'
    )


def _select(name: str, values: Sequence[str]) -> str:
    options = "".join(f'<option value="{escape(value)}">{escape(value)}</option>' for value in values)
    label = escape(name.replace("_", " "))
    return f'<label>{label}<select name="{escape(name)}"><option value="">any</option>{options}</select></label>'


def _card(entry: Entry) -> str:
    tags = {**entry.tags, "status": entry.status, "study": entry.study}
    text = " ".join([entry.name, entry.run_id, *tags.values(), *_said(entry)]).lower()
    evidence = escape(tags.get("evidence", ""))
    badge = f'<span class="badge {evidence}">{evidence}</span>' if evidence else ""
    status = "" if entry.status == "FINISHED" else f'<span class="status">{escape(entry.status.lower())}</span> '
    answered = f'<span class="verdict">{escape(entry.verdict)}</span>: {escape(entry.claim)}'
    verdict = f"<p>{answered}</p>" if entry.claim else ""
    lead = _lead(entry)
    found = f"<p>{escape(_cut(lead))}</p>" if lead else ""
    return (
        f'<li class="run" data-tags="{escape(json.dumps(tags, sort_keys=True))}" data-text="{escape(text)}">'
        f'<div class="picture">{thumbnail(entry)}</div><div class="text">'
        f'<h3><a href="{escape(entry.page)}">{escape(entry.title)}</a></h3>'
        f"<div>{status}{badge}</div>{_numbers(entry)}{verdict}{found}</div></li>"
    )


def _numbers(entry: Entry) -> str:
    if entry.result is None:
        return ""
    return "".join(
        f'<div class="number"><b>{escape(each.text)}</b> {escape(each.interval)} {escape(each.label)}</div>'
        for each in estimates(entry.result, NUMBERS)
    )


def _said(entry: Entry) -> list[str]:
    return [] if entry.result is None else sentences(entry.result)


def _lead(entry: Entry) -> str:
    """Return the sentence that stands for a run: the first; of a comparison the first one with an interval.

    Where it has a primary family, that is the first one about it; else one about a difference, if there is any. The
    answer to a claim stands beside it anyway.
    """
    said = [line for line in _said(entry) if not (entry.claim and line.startswith("Claim: "))]
    if entry.result is not None and entry.result.subject == COMPARISON:
        told = [line for line in said if _INTERVAL.search(line)]
        if not any(line.startswith("Primary family:") for line in said):
            told.sort(key=lambda line: " against " not in line)
        said = [*told, *said]
    return said[0] if said else ""


def _cut(text: str, most: int = 180) -> str:
    return text if len(text) <= most else f"{text[:most].rsplit(' ', 1)[0]} …"


def thumbnail(entry: Entry) -> str:
    """Return the first figure of a run as a small picture inside the page, or what stands in its place."""
    for name, png in entry.figures.items():
        try:
            data = base64.b64encode(_small(png)).decode("ascii")
        except (OSError, ValueError):
            continue
        return f'<img alt="{escape(_title(entry, name))}" src="data:image/png;base64,{data}">'
    return "<span>no figure</span>"


def _title(entry: Entry, name: str) -> str:
    declared = {figure.name: figure.title for figure in entry.result.figures} if entry.result else {}
    return declared.get(name) or name.replace("_", " ")


def _small(png: bytes) -> bytes:
    """Return a picture at most :data:`THUMBNAIL` wide, in 32 colours."""
    with Image.open(io.BytesIO(png)) as opened:
        image = opened.convert("RGB")
    if image.width > THUMBNAIL:
        image = image.resize(
            (THUMBNAIL, max(1, round(image.height * THUMBNAIL / image.width))), Image.Resampling.LANCZOS
        )
    out = io.BytesIO()
    image.quantize(32, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def _claims(entries: Sequence[Entry]) -> str:
    made = [entry for entry in entries if entry.claim]
    if not made:
        return ""
    items = "".join(
        f'<li><span class="verdict">{escape(entry.verdict or "not answered")}</span>: {escape(entry.claim)} '
        f'(<a href="{escape(entry.page)}">{escape(entry.title)}</a>)</li>'
        for entry in made
    )
    return f'<h2 id="claims">Claims</h2><ul class="related">{items}</ul>'


def _comparisons(entries: Sequence[Entry]) -> str:
    made = [entry for entry in entries if entry.result is not None and entry.result.subject == COMPARISON]
    if not made:
        return ""
    items = "".join(
        f'<li><a href="{escape(entry.page)}">{escape(entry.title)}</a>, {len(entry.sources)} runs'
        f"{'. ' + escape(_lead(entry)) if _lead(entry) else ''}</li>"
        for entry in made
    )
    return f'<h2 id="comparisons">Comparisons</h2><ul class="related">{items}</ul>'


def _features(entries: Sequence[Entry]) -> str:
    known: Mapping[str, Sequence[Entry]] = features(entries)
    if not known:
        return ""
    items = "".join(f"<li><b>{escape(feature)}</b>: {_named(runs)}</li>" for feature, runs in known.items())
    opened = " open" if len(known) <= 6 else ""
    return (
        f'<h2 id="features">Features</h2><details{opened}><summary>{counted(len(known), "feature")}</summary>'
        f'<ul class="related">{items}</ul></details>'
    )


def _named(runs: Sequence[Entry]) -> str:
    """Return links to runs, each by its experiment type; by its name where several are of one type."""
    types = Counter(one.tags.get("experiment") for one in runs)
    called = [(kind if (kind := one.tags.get("experiment")) and types[kind] == 1 else one.title) for one in runs]
    return ", ".join(f'<a href="{escape(one.page)}">{escape(name)}</a>' for one, name in zip(runs, called, strict=True))
