"""A probe begins a job and tells how long all of it takes; nothing of it is kept."""

from __future__ import annotations

import time

import pytest

from paribus.running import probe as probing
from paribus.running.probe import Enough, ProbeRecorder, probe
from paribus.running.request import from_job

SPOT = {"_target_": "paribus_toy.SpotModel", "width": 2}


def test_a_short_job_is_done_and_nothing_is_kept_of_it(store, job, workdir):
    before = sorted(workdir.rglob("*")), len(store.runs())
    found = probe(from_job(job("Measure")), store)
    assert 0 < found.seconds < 5 and found.text().startswith("ended after") and not found.left_out
    assert (sorted(workdir.rglob("*")), len(store.runs())) == before


def test_of_a_long_loop_two_steps_are_timed(monkeypatch):
    monkeypatch.setattr(probing, "PATIENCE", 0.3)
    steps = []
    with pytest.raises(Enough) as seen:
        for step in ProbeRecorder().progress(range(100), description="epochs"):
            steps.append(step)
            time.sleep(0.02)
    assert steps == [0, 1] and 2.0 <= seen.value.seconds < 10 and "2 of 100 steps of 'epochs'" in seen.value.said


def test_a_loop_within_another_counts_as_often_as_that_runs(monkeypatch):
    monkeypatch.setattr(probing, "PATIENCE", 0.5)
    recorder = ProbeRecorder()
    with pytest.raises(Enough) as seen:
        for _ in recorder.progress(range(10), description="checkpoints"):
            for _ in recorder.progress([1] * 10):
                time.sleep(0.02)
    assert 2.0 <= seen.value.seconds < 10


def test_of_a_model_that_is_not_trained_the_training_is_seen(store, job):
    found = probe(from_job(job("Measure", model=SPOT)), store)
    assert found.seconds is not None and "the training of its model (toy_train)" in found.text()
    assert found.left_out == ("toy_measure on the model that it trains",)


def test_of_a_sequence_what_needs_no_model_of_another_step_is_seen(store, job, seq):
    found = probe(from_job(job(seq(train="Train", measure="Measure"))), store)
    assert found.measured[0].startswith("train: ended after") and found.left_out == ("measure",)


def test_work_without_loops_is_left_in_time(monkeypatch):
    monkeypatch.setattr(probing, "PATIENCE", 0.1)
    took, said = probing._timed(lambda: time.sleep(30))
    assert took is None and "no loop" in said
