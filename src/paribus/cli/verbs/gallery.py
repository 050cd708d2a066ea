"""``paribus gallery OUT``: runs of the store as a static site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.cli.arguments import Arguments
from paribus.cli.found import filtered_runs, found_run
from paribus.cli.store import spec_with_runs
from paribus.errors import ConfigError, DataError
from paribus.report.gallery.entry import Entry
from paribus.report.gallery.site import write
from paribus.tracking.opening import open_store

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.tracking.interface import Store
    from paribus.tracking.kept import KeptRun

SUMMARY = "runs as a static site: overview, filters, a page for each; no server needed"
USAGE = """
paribus gallery OUT [RUN ...] [--study NAME] [--sweep ID] [--where FILTER] [--title TEXT] [--limit N]
                    [tracking=... tracking.folder=DIR]

Writes OUT/index.html and a page for every run: of one study (an MLflow experiment), one sweep, the runs named, those
that FILTER finds (MLflow's search syntax, as in paribus runs), or all. OUT must be new, empty, or an older gallery,
which is replaced. Nothing in it is loaded from elsewhere; it can be opened from a folder, sent, or put on a web server.
"""
FIGURES = "figures"
FILTERED = {
    "experiment_type": "experiment", "evidence": "evidence", "training": "training", "n_train": "n_train",
    "seed": "seed", "feature": "feature", "model": "model", "step": "step", "sweep": "sweep",
    "parent_hypothesis": "hypothesis", "claim_answer": "claim",
}  # fmt: skip
"""Tags of runs that the overview filters by, and what they are called there."""


def run(arguments: Sequence[str]) -> int:
    """Write it.

    Raises:
        ParibusError: If there are no such runs, the filter is wrong, or the folder cannot be used.
    """
    parser = Arguments("gallery")
    parser.add_argument("--study")
    parser.add_argument("--sweep")
    parser.add_argument("--where", default="")
    parser.add_argument("--title")
    parser.add_argument("--limit", type=int, default=1000)
    parser.store_options()
    asked = parser.take(arguments)
    words = [word for word in asked.overrides if "=" not in word]
    if not words or not words[0]:
        raise ConfigError("gallery: wants a folder to write to (paribus gallery OUT)")
    if asked.limit < 1:
        raise ConfigError(f"gallery: --limit wants a number from 1 on, got {asked.limit}")
    overrides = [word for word in asked.overrides if "=" in word]
    if asked.study is not None:
        overrides.append(f"tracking.experiment={asked.study}")
    spec = spec_with_runs("gallery", overrides, asked.config_dir)
    out, named, further = Path(words[0]), words[1:], _of_sweep(asked.sweep)
    store = open_store(spec, writing=False)
    found = [found_run("gallery", store, one) for one in named] or filtered_runs("gallery", store, asked, further)
    if not found:
        raise ConfigError("gallery: no runs found; paribus runs lists what there is")
    title = asked.title or _title(asked.study, asked.sweep)
    written = write(out, title, [entry(store, run) for run in found])
    print(f"{written[0]}: {len(found)} {'run' if len(found) == 1 else 'runs'}")
    return 0


def _title(study: str | None, sweep: str | None) -> str:
    if sweep is not None:
        return f"Sweep {sweep}"
    return f"Study {study}" if study is not None else "Runs"


def _of_sweep(sweep: str | None) -> str:
    """Return the condition that runs are of a sweep; empty where none is named.

    Raises:
        ConfigError: If that is no id.
    """
    if sweep is not None and not sweep.replace("-", "").isalnum():
        raise ConfigError(f"gallery: --sweep {sweep!r}: no id of a sweep; paribus status lists them")
    return "" if sweep is None else f"tags.sweep = '{sweep}'"


def entry(store: Store, one: KeptRun) -> Entry:
    """Return what the gallery shows of a run; one whose files cannot be read is shown without a result."""
    result: Result | None = None
    figures: Mapping[str, bytes] = {}
    try:
        result = store.result(one.run_id)
        figures = _figures(store, one.run_id, result)
    except (DataError, OSError):
        pass
    tags = {shown: one.tags[name] for name, shown in FILTERED.items() if one.tags.get(name)}
    return Entry(
        run_id=one.run_id,
        name=one.name,
        status=one.status,
        study=one.experiment,
        started=one.started_at,
        tags=tags,
        result=result,
        figures=figures,
        parent=one.parent,
        model_run=one.tags.get("model_run"),
        claim=one.tags.get("claim", ""),
        verdict=one.tags.get("claim_answer", ""),
    )


def _figures(store: Store, run_id: str, result: Result) -> dict[str, bytes]:
    """Return the drawn figures of a run in the order of its declaration."""
    there = set(store.artifacts(run_id, FIGURES))
    found = {}
    for figure in result.figures:
        path = f"{FIGURES}/{figure.name}.png"
        if path in there:
            found[figure.name] = store.download(run_id, path).read_bytes()
    return found
