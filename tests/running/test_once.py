"""Several processes that want the same run at the same moment make one."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace

import pytest

from paribus.cli.hypotheses import ledger
from paribus.config.settings import ClaimSettings
from paribus.running.run import run_job
from paribus.tracking.store import MlflowStore


def _work(job, barrier, found):
    barrier.wait()
    result = run_job(job, sweep="s")
    found.put((result.run_id, result.reused))


@pytest.mark.parametrize("kind", ["one", "steps"])
def test_one_of_several_processes_measures(store, job, seq, kind):
    made = job(seq(first="Train", second="Measure")) if kind == "steps" else job("Measure")
    context = multiprocessing.get_context("fork")
    barrier, found = context.Barrier(3), context.Queue()
    workers = [context.Process(target=_work, args=(made, barrier, found)) for _ in range(3)]
    for worker in workers:
        worker.start()
    results = [found.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
    runs = store.runs()
    assert len(runs) == {"one": 1, "steps": 3}[kind]
    assert {run.status for run in runs} == {"FINISHED"}
    assert sorted(reused for _, reused in results) == [False, True, True]
    (made_by_all,) = {run_id for run_id, _ in results}
    assert made_by_all in {run.run_id for run in runs if run.parent is None}


def test_a_run_that_another_process_took_over_ends_as_killed_and_takes_the_others_result(store, job, monkeypatch):
    """This machine slept for so long that another one took it for dead; nothing is counted twice."""
    others = []

    def taken_over(_store, identity):
        if others:
            return True
        others.append(identity)
        others.append(run_job(job("Measure", reuse="never"), sweep="s").run_id)
        return False

    monkeypatch.setattr(MlflowStore, "is_ours", taken_over)
    result = run_job(job("Measure"), sweep="s")
    ended = {run.run_id: run for run in store.runs()}
    assert result.reused and result.run_id == others[1] and ended[result.run_id].identity == others[0]
    (superseded,) = [run for run in ended.values() if run.run_id != result.run_id]
    assert superseded.status == "KILLED" and "another one measures it" in superseded.tags["error_message"]
    assert "result.json" not in store.artifacts(superseded.run_id)


def test_what_a_reused_run_does_not_record_is_said(store, job, caplog):
    """The claim and the hypothesis of a request are tags of a run that is made, and of no run that was there."""
    made = replace(job("Measure"), claim=ClaimSettings(endpoint="acc"), parent_hypothesis="it holds: H 1")
    first = run_job(made, sweep="s")
    assert "not recorded" not in caplog.text
    assert run_job(made, sweep="s").run_id == first.run_id
    taken = f"is not recorded: run {first.run_id[:8]} of the same identity was finished before, and is taken as it is"
    assert [line for line in caplog.messages if "not recorded" in line] == [
        f"claim 'acc is above 0 (alpha 0.05)' {taken}",
        f"parent_hypothesis 'it holds: H 1' {taken}",
    ]
    assert "hypothesis it holds: H 1, 1 runs" in ledger(store, "it holds: H 1", everywhere=True)
