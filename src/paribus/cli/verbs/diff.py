"""``paribus diff A B``: the differences between two runs, or two groups of runs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from paribus.cli.arguments import Arguments
from paribus.cli.found import found_run
from paribus.cli.store import spec_with_runs
from paribus.compare.collect import candidates
from paribus.compare.diff import SECTIONS, Values, diff
from paribus.compare.plugin import collect
from paribus.compare.where import check_names, check_where, fits
from paribus.errors import ConfigError
from paribus.experiments.setup_runs import FINISHED
from paribus.results.nested import Absent, Change
from paribus.results.values import plain
from paribus.tracking.opening import open_store

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.tracking.spec import TrackingSpec

SUMMARY = "what differs between two runs or two groups of runs: science, results, code, machine"
USAGE = """
paribus diff RUN RUN [--json] [tracking=...]
paribus diff 'training=standard,seed=0..3' 'training=grokking,seed=0..3' [--type TYPE] [--study NAME] [--json]

RUN is the id of a run, its first digits, or latest. A group is named by conditions as experiment.where takes them, with
commas between; --type keeps the runs of one experiment type, --study names their MLflow experiment (by default that of
the latest run). Equal values are left out. What can change a result stands apart from code and machine; of groups the
values that occur are compared, and of results the means.
"""
_GROUP = re.compile(r"[=<>!]")


def run(arguments: Sequence[str]) -> int:
    """Print the differences.

    Raises:
        ParibusError: If there are no such runs.
    """
    parser = Arguments("diff")
    parser.add_argument("--study")
    parser.add_argument("--type")
    parser.add_argument("--json", action="store_true")
    parser.store_options()
    asked = parser.take(arguments)
    stores = [word for word in asked.overrides if word.lstrip("+").startswith(("tracking=", "tracking."))]
    sides = [word for word in asked.overrides if word not in stores]
    if len(sides) != 2:
        raise ConfigError("diff: wants two runs, or two groups (paribus diff RUN RUN; paribus runs lists them)")
    spec = spec_with_runs("diff", stores, asked.config_dir)
    results = [_results(side, spec, asked.study, asked.type) for side in sides]
    found = diff(*results)
    if asked.json:
        told = {name: [_plain(change) for change in found[name]] for name in SECTIONS}
        print(json.dumps({"runs": [[one.run_id for one in side] for side in results], **told}, indent=1))
        return 0
    for name, side in zip("AB", results, strict=True):
        ids = ", ".join((one.run_id or "")[:8] for one in side[:8])
        print(f"{name}: {len(side)} {'run' if len(side) == 1 else 'runs'} ({ids}{', ...' if len(side) > 8 else ''})")
    for section in SECTIONS:
        print(f"\n{section}{'' if found[section] else ': the same'}")
        for change in found[section]:
            print(f"  {change}")
    return 0


def _results(side: str, spec: TrackingSpec, study: str | None, kind: str | None) -> list[Result]:
    """Return the results of one side.

    Raises:
        ConfigError: If there is no such run.
    """
    store = open_store(spec, writing=False)
    if not _GROUP.search(side):
        return [store.result(found_run("diff", store, side).run_id)]
    store = open_store(replace(spec, experiment=study or found_run("diff", store, "latest").experiment), writing=False)
    where = [part.strip() for part in side.split(",") if part.strip()]
    check_where("diff", where)
    types = None if kind is None else (kind,)
    known = [run for run in candidates(collect(store), types) if run.status == FINISHED]
    if not known:
        raise ConfigError(f"diff: there is no finished run{'' if kind is None else f' of {kind}'} in this study")
    check_names("diff", where, known)
    return [store.result(run.run_id) for run in known if fits(run, where)]


def _plain(change: Change) -> dict[str, Any]:
    return {"place": change.place, "before": _value(change.before), "after": _value(change.after)}


def _value(value: Any) -> Any:
    if isinstance(value, Absent):
        return None
    if isinstance(value, Values):
        mean = {} if math.isnan(value.mean) else {"mean": value.mean}
        return {"values": plain(list(value.values)), "n": value.n, **mean}
    return plain(value)
