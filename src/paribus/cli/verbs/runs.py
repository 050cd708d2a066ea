"""``paribus runs``: the latest runs of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paribus.cli.arguments import Arguments
from paribus.cli.columns import aligned
from paribus.cli.found import filtered_runs, started, took
from paribus.cli.hypotheses import ledger
from paribus.cli.store import tracking_spec
from paribus.errors import ConfigError
from paribus.tracking.opening import open_store
from paribus.tracking.spec import database, has_runs

if TYPE_CHECKING:
    from paribus.tracking.kept import KeptRun

SUMMARY = "the latest runs, one line each"
USAGE = """
paribus runs [--limit N] [--study NAME] [--where FILTER] [--hypothesis NAME] [tracking=... tracking.folder=DIR]

The latest runs of the store, all studies together, or one study (an MLflow experiment). FILTER is MLflow's search
syntax, such as "tags.experiment_type = 'domain_swap' and attributes.status = 'FAILED'". With --hypothesis, the ledger
of the runs that bear on it (parent_hypothesis=NAME): their claims and evidence, what is shown of necessity,
sufficiency, specificity and stability, and what is missing.
"""
_HEADER = ("run", "started", "status", "study", "experiment", "training", "seed", "duration", "name")


def run(arguments: Sequence[str]) -> int:
    """Print the runs.

    Raises:
        ConfigError: If the filter or the store is wrong.
    """
    parser = Arguments("runs")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--study")
    parser.add_argument("--where", default="")
    parser.add_argument("--hypothesis")
    parser.store_options()
    asked = parser.take(arguments)
    if asked.limit < 1:
        raise ConfigError(f"runs: --limit wants a number from 1 on, got {asked.limit}")
    overrides = list(asked.overrides)
    if asked.study is not None:
        overrides.append(f"tracking.experiment={asked.study}")
    spec = tracking_spec(overrides, asked.config_dir)
    if not has_runs(spec):
        print(f"No runs yet: there is no {database(spec)}.")
        return 0

    store = open_store(spec, writing=False)
    if asked.hypothesis is not None:
        print(ledger(store, asked.hypothesis, everywhere=asked.study is None))
        return 0
    found = filtered_runs("runs", store, asked)
    print(aligned([_row(one) for one in found], header=_HEADER) if found else "No runs found.")
    return 0


def _row(one: KeptRun) -> tuple[str, ...]:
    nested = "  " if one.parent else ""
    return (
        nested + one.run_id[:8],
        started(one),
        one.status,
        one.experiment,
        one.experiment_type or "",
        one.tags.get("training", one.tags.get("training_condition", "")),
        one.tags.get("seed", ""),
        took(one),
        one.name,
    )
