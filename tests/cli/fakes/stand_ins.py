"""Puts the stand-ins in place in a process that has imported Paribus already."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paribus.cli.execute
import paribus.cli.notebook  # before its parts are stood in for: what imports them late would keep the stand-ins
import paribus.cli.verbs.spec
import paribus.sweep.start  # noqa: F401

STAND_INS = {"running.run": "fake_run_job", "running.validate": "fake_validate", "sweep.end": "fake_sweep_end"}
USED = {
    "paribus.sweep.task.run_job": ("running.run", "run_job"),
    "paribus.cli.notebook.run_job": ("running.run", "run_job"),
    "paribus.cli.notebook.validate": ("running.validate", "validate"),
    "paribus.cli.execute.finish_sweep": ("sweep.end", "finish"),
}
"""Where a name of a stand-in was imported before."""


def put(modules: Callable[[str, Any], None], names: Callable[[str, Any], None]) -> None:
    """Hand every stand-in to ``modules``, under the name of what it stands in for, and its parts to ``names``."""
    made = {}
    for name, stand_in in STAND_INS.items():
        spec = importlib.util.spec_from_file_location(f"paribus.{name}", Path(__file__).with_name(f"{stand_in}.py"))
        made[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made[name])
        modules(f"paribus.{name}", made[name])
    for place, (name, part) in USED.items():
        names(place, getattr(made[name], part))
