"""Runs that are stopped at the most likely points, in every way, and started again; all points: benchmarks.faults."""

from __future__ import annotations

import re
import shutil

import pytest
from benchmarks.faults import trial as trials

from paribus.running.run import run_job
from paribus.sweep import signals
from paribus.tracking import local
from paribus.tracking.relocate import relocate

POINTS = [
    ("kill", "insert tags", 0, "the run was just created"),
    ("term", r"write mlruns/.*/tables/sweep.parquet \(temporary\)", 0, "a table on its way to the store"),
    ("tear", r"write mlruns/.*/checkpoints/checkpoint_e00002.pt \(temporary\)", 0, "half of a checkpoint"),
    ("full", r"write .*/figures/sweep.png \(temporary\)", 0, "the disk is full as figures are drawn"),
    ("int", r"write .*/report.html \(temporary\)", 0, "Ctrl-C while the report is written"),
    ("tear", r"write mlruns/.*/result.json \(temporary\)", 0, "half of a result"),
    ("kill", r"rename mlruns/.*/artifacts/result.json", 0, "everything but the result"),
    ("term", "update runs", -1, "between the result and the status"),
    ("term", "after update runs", 0, "a step's status is set, and nothing done since"),
    ("int", "after update runs", -1, "the last status is set, and nothing done since"),
    ("away", "update runs", -1, "the store does not take the status"),
    ("full", "update runs", 0, "the database cannot be written"),
    ("kill", r"rmtree multirun/.work/<id>", 0, "finished, and not tidied up"),
]


@pytest.fixture
def command(migrated_database, job, seq):
    def prepare(folder):
        shutil.copy2(migrated_database, folder / local.DATABASE)
        relocate(folder)
        (folder / f"{local.DATABASE}.before_relocate").unlink()

    def run():
        with signals.raising():
            run_job(job(seq(train="Train", measure="Measure")), sweep="s1")
        return 0

    return trials.Command(run, prepare, "toys")


_undisturbed = []


@pytest.fixture
def undisturbed(command):
    """The points of an undisturbed command and what stands there then; found once."""
    if not _undisturbed:
        trials.warm_up(command)
        _undisturbed.append(trials.steps(command))
    return _undisturbed[0]


@pytest.mark.parametrize(("fault", "point", "nth", "what"), POINTS, ids=[f"{p[0]}-{p[3]}" for p in POINTS])
def test_every_run_ends_once(command, undisturbed, fault, point, nth, what):
    names, expected = undisturbed
    assert len(expected.finished) == 3 and len(expected.statuses) == 3
    places = [at for at, name in enumerate(names) if re.fullmatch(point, name)]
    verdict = trials.trial(command, names, places[nth], fault, expected)
    assert verdict.problems == ()
    assert verdict.ended != "exit 0" or fault == "int"


@pytest.mark.parametrize("back", range(1, 6))
def test_killed_at_one_of_the_last_five_points_a_run_ends_once(command, undisturbed, back):
    names, expected = undisturbed
    assert trials.trial(command, names, len(names) - back, "kill", expected).problems == ()
