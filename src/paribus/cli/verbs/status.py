"""``paribus status [SWEEP|latest]``: the state of a sweep, from any shell."""

from __future__ import annotations

import json
from collections.abc import Sequence

from paribus.cli.arguments import Arguments
from paribus.cli.store import spec_with_runs
from paribus.sweep.record import LATEST, find
from paribus.sweep.status import MOST, status, text

SUMMARY = "the state of a sweep: finished, running, failed, killed, to do; from any shell"
USAGE = """
paribus status [SWEEP | latest] [--all] [--json] [tracking=... tracking.folder=DIR]

The state of every job of a sweep: derived from its run in the store, so it is true also when the sweep was killed.
SWEEP is its id, or the beginning or end of it; the latest one if it is left out.

--all     list every job that is not finished, not the first 40
--json    everything, for programs
"""


def run(arguments: Sequence[str]) -> int:
    """Print it.

    Raises:
        ConfigError: If there is no such sweep.
    """
    parser = Arguments("status")
    parser.add_argument("sweep", nargs="?")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.store_options()
    asked = parser.take(arguments)
    name, overrides = asked.sweep or LATEST, list(asked.overrides)
    if "=" in name:
        name, overrides = LATEST, [name, *overrides]
    spec = spec_with_runs("status", overrides, asked.config_dir)
    found = status(find(spec, name))
    if asked.json:
        print(json.dumps(found.plain(), indent=1, ensure_ascii=False))
    else:
        print(text(found, most=len(found.jobs) if asked.all else MOST))
    return 0
