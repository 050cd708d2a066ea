"""One self-contained page about one result: it loads nothing, and everything in it is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from paribus.report import _parts
from paribus.report._look import CSS, SCRIPT, document
from paribus.report._values import escape, is_number
from paribus.results.estimates import estimates
from paribus.results.evidence import Evidence
from paribus.results.found import SUMMARY, sentences
from paribus.results.schema import Result

CLAIMS: Mapping[Evidence, str] = {
    Evidence.INTERVENTIONAL: (
        "The model was run on edited inputs or with edited activations and everything else was held equal. "
        "The numbers say what these edits do to this model on these contexts. They do not say that the model "
        "uses the same thing on other data, that another model would, or that an edit which destroys "
        "performance destroyed only what it was aimed at: read each effect beside its null."
    ),
    Evidence.OBSERVATIONAL: (
        "Nothing was changed; the numbers describe what goes together in the data. A difference may be "
        "confounded: it can be owed to anything that goes along with what is compared. Use it to choose what "
        "to intervene on, not as a cause."
    ),
    Evidence.WEIGHTS: (
        "Read from the parameters. The numbers say what the weights would do to an output, all else equal; "
        "how much it matters on real inputs depends on the activations, which were not part of this."
    ),
    Evidence.TRAINING: (
        "Recorded while a model was trained. The numbers describe this training run; whether a difference "
        "between two runs is owed to their settings takes several seeds and a comparison."
    ),
    Evidence.COMPARISON: (
        "Made from other runs, which are the samples: p and intervals speak about seeds of the same recipe, never "
        "about images or contexts; with few runs only large and consistent differences can be established, and the "
        "smallest p that the design can reach is stated."
    ),
}
GATHERED = (
    "Put together from other runs about one feature of one model; nothing was measured for it. A statement is worth as "
    "much as the run it comes from, and each table says which evidence that is. p and intervals speak about contexts, "
    "by source build; they say nothing about other seeds or models."
)
"""What is said of a page that gathers results instead of comparing runs."""

GATHERS = "results"
"""Subject of a result that gathers others."""


def render(
    result: Result, figures: Mapping[str, bytes], *, command: str | None = None, before: str = "", after: str = ""
) -> str:
    """Return the page about ``result``.

    Args:
        result: What was found.
        figures: PNG bytes by figure name; a declared figure that is missing here is said to be missing.
        command: The command that repeats the run, if known.
        before: Finished HTML above it, such as a link to where it belongs.
        after: Finished HTML before its provenance.

    Returns:
        A complete HTML document without external resources.

    Example:
        >>> from paribus.results import Aggregates, Diagnostics, Evidence
        >>> what = ("abc", "noise", Evidence.INTERVENTIONAL, None, "mlp", "images")
        >>> found = Result(*what, Aggregates(), {}, Diagnostics())
        >>> render(found, {})[:15]
        '<!DOCTYPE html>'
    """
    title = f"{result.experiment_type}" + (f": {result.feature}" if result.feature else "")
    sections = [
        before,
        _head(result, title),
        _failure(result),
        _parts.box("warn", "Warnings", result.diagnostics.warnings),
        _found(result),
        _figures(result, figures),
        _tables(result),
        f'<h2 id="diagnostics">Diagnostics</h2>{_parts.diagnostics(result.diagnostics)}',
        after,
        _origin(result, command),
    ]
    content = "\n".join(filter(None, sections))
    body = f"<main>\n{content}\n</main><script>{SCRIPT}</script>"
    return document(title, CSS, body, script=SCRIPT)


def _head(result: Result, title: str) -> str:
    facts: list[tuple[str, Any]] = [
        ("subject", result.subject),
        ("model", result.model),
        ("feature", result.feature),
        ("run", result.run_id),
        ("spec", result.spec_id),
        ("started", result.started_at),
        ("took", None if result.duration_seconds is None else _duration(result.duration_seconds)),
    ]
    evidence = escape(result.evidence.value)
    links = "".join(
        f'<a href="#{name}">{name}</a>' for name in ("figures", "tables", "diagnostics", "origin") if _has(result, name)
    )
    return (
        f'<h1>{escape(title)} <span class="badge {evidence}">{evidence}</span></h1>{_parts.facts(facts)}'
        f'<nav>{links}</nav><p class="claim"><b>What this evidence can and cannot claim.</b> '
        f"{escape(GATHERED if result.subject == GATHERS else CLAIMS[result.evidence])}</p>"
    )


def _has(result: Result, section: str) -> bool:
    return {"figures": bool(result.figures), "tables": bool(result.tables)}.get(section, True)


def _failure(result: Result) -> str:
    if result.success:
        return ""
    message = escape(result.error_message or "no message was recorded")
    return (
        '<div class="box bad"><b>This run did not finish.</b> What it had found until then is kept below.'
        f"<pre>{message}</pre></div>"
    )


def _found(result: Result) -> str:
    lines = sentences(result)
    every = dict(_numbers(result))
    if not (lines or every):
        return ""
    more = _parts.closed("All numbers and settings that sum it up", _parts.values(every)) if every else ""
    return f"<h2>What was found</h2>{_parts.sentences(lines)}{_parts.cards(estimates(result))}{more}"


def _numbers(result: Result) -> Iterator[tuple[str, Any]]:
    aggregates, seen = result.aggregates, set()
    for name in ("mean_delta", "std_delta", "n_samples", "n_conditions", "base_activation_mean", "base_activation_std"):
        if (value := getattr(aggregates, name)) is not None:
            seen.add(name)
            yield name, value
    for name, value in aggregates.custom.items():
        if name != SUMMARY and value not in (None, [], {}, ()):
            seen.add(name)
            yield name, value
    for name, value in sorted(result.metrics.items()):
        if name not in seen and is_number(value):
            yield name, value


def _figures(result: Result, figures: Mapping[str, bytes]) -> str:
    drawn = "".join(_parts.figure(each, figures.get(each.name)) for each in result.figures)
    return f'<h2 id="figures">Figures</h2>{drawn}' if drawn else ""


def _tables(result: Result) -> str:
    tables = "".join(_parts.table(each) for each in result.tables.values())
    return f'<h2 id="tables">Tables</h2><p class="quiet">A click on a heading sorts.</p>{tables}' if tables else ""


def _origin(result: Result, command: str | None) -> str:
    parts = ['<h2 id="origin">Where this comes from</h2>']
    if command:
        parts.append(f'<p>To repeat it:</p><pre class="command">{escape(command)}</pre>')
    parts.append(_parts.folded("Provenance", result.provenance))
    parts.append(_parts.folded("Complete configuration", result.config))
    return "".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
