"""Stands in for ``paribus.running.run``: writes down what happens to ``$FAKE_LOG``."""

from __future__ import annotations

import os
import time
from pathlib import Path

from paribus.errors import DataError, ExperimentError
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Diagnostics, Result
from paribus.sweep.signals import Interrupted
from paribus.tracking.patience import StoreError


def note(*words: object) -> None:
    with Path(os.environ["FAKE_LOG"]).open("a") as file:
        file.write(" ".join(map(str, words)) + "\n")


def take_job(job, identity, *, sweep):
    raise AssertionError("nothing is kept, so nothing is taken")


def run_job(job, *, sweep=None, output_dir=None, inside=None, waits=True):
    do = job.experiment.do
    note("start", job.seed, sweep, os.getpid())
    try:
        if do == "raise" or (do == "raise_odd" and job.seed % 2):
            raise RuntimeError("a bolt\ncame loose")
        if do == "experiment_error":
            raise ExperimentError("the loss is not finite")
        if do == "refuse":
            raise DataError("img_7.png is corrupted")
        if do == "no_store":
            raise StoreError("/data: runs cannot be kept here (Read-only file system)")
        if do == "sleep":
            time.sleep(job.experiment.seconds)
        if do == "late_signal":
            late = Interrupted(15)
            late.finished, late.run_id = True, f"run{job.seed}"
            raise late
        if do == "die":
            os._exit(9)
    except KeyboardInterrupt:
        note("killed", job.seed)
        raise
    note("end", job.seed)
    return Result(
        spec_id="x",
        experiment_type="fake",
        evidence=Evidence.OBSERVATIONAL,
        feature=None,
        model=None,
        subject="images",
        aggregates=Aggregates(),
        tables={},
        diagnostics=Diagnostics(),
        success=do != "unsuccessful",
        error_message="it did not work" if do == "unsuccessful" else None,
        run_id=f"run{job.seed}",
    )
