"""Stands in for ``paribus.sweep.end``."""

from __future__ import annotations

import os

from fake_run_job import note

from paribus.errors import ExperimentError


def finish(jobs, sweep_id, *, output_dir, interrupted, ended):
    note("finish", len(jobs), sweep_id, interrupted)
    if os.environ.get("FAKE_FINISH") == "fail":
        raise ExperimentError("comparison: seeds are missing")
