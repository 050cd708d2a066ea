"""How jobs stand is derived from the runs in the store, and from nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from paribus.config.settings import SweepSettings
from paribus.errors import ParibusError
from paribus.results.io import to_json
from paribus.running.run import run_job, take_job
from paribus.sweep import estimate, record
from paribus.sweep import standing as standings
from paribus.sweep.identities import known_jobs
from paribus.sweep.plan import plan_with_states, summary
from paribus.sweep.standing import Runs, all_standing, standing
from paribus.sweep.start import start
from paribus.sweep.status import status, text
from paribus.tracking import local, provenance
from paribus.tracking.heartbeat import sign_of_life
from paribus.tracking.life_mark import LIFE_TAG
from paribus.tracking.relocate import relocate
from paribus.tracking.states import run_states

SPOT = {"_target_": "paribus_toy.SpotModel", "width": 2}


def states(jobs, *, reused=True):
    return [planned.state for planned in plan_with_states(known_jobs(jobs), reused=reused).jobs]


def test_a_plan_of_a_store_that_is_not_there_creates_nothing(workdir, job):
    assert states([job("Measure"), job("Measure", seed=1)]) == ["to do", "to do"]
    assert list(workdir.iterdir()) == []


def test_finished_failed_killed_and_running(store, job, node, monkeypatch):
    jobs = [job("Measure"), job(node("Fail")), job(node("Fail", how="interrupt")), job("Measure", seed=5)]
    assert states(jobs) == ["to do"] * 4
    run_job(jobs[0], sweep="s")
    with pytest.raises(ParibusError):
        run_job(jobs[1], sweep="s")
    with pytest.raises(KeyboardInterrupt):
        run_job(jobs[2], sweep="s")
    (known,) = known_jobs([jobs[3]])
    marks = {run.run_id: run.tags[LIFE_TAG] for run in store.runs()}
    going = store.client.create_run(
        store.experiment_id(), tags={"identity": known.identity, LIFE_TAG: _mark_of(os.getppid(), marks)}
    )
    assert states(jobs) == ["finished", "failed", "killed", "running"]
    assert states(jobs, reused=False) == ["to do", "failed", "killed", "running"], "a single run is not reused"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    store.client.set_tag(going.info.run_id, LIFE_TAG, _mark_of(gone.pid, marks))
    assert states(jobs)[3] == "killed", "its process is gone, whatever the store says"


def _mark_of(pid, marks):
    return json.dumps({**json.loads(next(iter(marks.values()))), "pid": pid, "started": ""})


def test_what_failed_is_tried_again_on_demand_or_with_other_code(store, job, node):
    made = job(node("Fail", how="data"))
    with pytest.raises(ParibusError):
        run_job(made, sweep="s")
    (known,) = known_jobs([made])
    runs = run_states(made.nodes["tracking"])
    assert runs[0].tags["failure"] == "data"
    stands = standing(known.identity, Runs(runs))
    assert (stands.state, stands.again, stands.why) == ("failed", False, "row 7 is broken")
    assert standing(known.identity, Runs(runs), retry="failed").again
    assert standing(known.identity, Runs(runs, today="other code")).again
    asked = replace(made, sweep=SweepSettings(retry="failed"))
    assert plan_with_states(known_jobs([asked]), reused=True).jobs[0].again
    for kind in ("memory", "store", "worker killed", "interrupted"):
        store.client.set_tag(runs[0].run_id, "failure", kind)
        assert standing(known.identity, Runs(run_states(made.nodes["tracking"]))).again, kind


def test_a_finished_run_whose_result_or_input_has_changed_is_stale(store, job, tmp_path, monkeypatch):
    made = job("Measure")
    result = run_job(made, sweep="s")
    assert states([made]) == ["finished"]
    path = store.download(result.run_id, "result.json")
    kept = store.result(result.run_id)
    other = tmp_path / "read.txt"
    other.write_text("before")
    from paribus import digests

    read = {"opened": {str(other): digests.file_digest(other)}}
    path.write_text(to_json(replace(kept, provenance={**kept.provenance, "files": read})))
    assert states([made]) == ["finished"]
    other.write_text("after it")
    (planned,) = plan_with_states(known_jobs([made]), reused=True).jobs
    assert planned.state == "stale" and planned.again and str(other) in planned.why
    other.write_text("before")
    figure = next(path.parent.glob("figures/*.png"))
    picture = figure.read_bytes()
    for spoil, why in (
        (lambda: figure.write_bytes(picture[:-1] + b"?"), "was changed after the run finished"),
        (figure.unlink, "is missing"),
        (lambda: path.write_text(path.read_text().replace("toy", "boy")), "was changed after it was written"),
    ):
        spoil()
        (planned,) = plan_with_states(known_jobs([made]), reused=True).jobs
        assert planned.state == "stale" and why in planned.why
        assert take_job(made, planned.identity, sweep="s") is None, "as when the run is taken"
    path.unlink()
    (planned,) = plan_with_states(known_jobs([made]), reused=True).jobs
    assert planned.state == "stale" and "result.json is gone" in planned.why
    tags = {"identity": planned.identity, "failure": "data", "error_message": "row 7", "code_version": Runs([]).today}
    again = store.client.create_run(store.experiment_id(), tags=tags)
    store.client.set_terminated(again.info.run_id, "FAILED")
    (planned,) = plan_with_states(known_jobs([made]), reused=True).jobs
    assert (planned.state, planned.again, planned.why) == ("failed", False, "row 7"), "it was tried again since"


def test_what_the_trainings_of_both_models_read_counts(store, job, tmp_path):
    made = [job("Measure", seed=seed) for seed in (0, 1)]
    first, second = (run_job(each, sweep="s") for each in made)
    read = tmp_path / "read.txt"
    read.write_text("before")
    from paribus import digests

    def rewritten(result, **provenance):
        kept = store.result(result.run_id)
        path = store.download(result.run_id, "result.json")
        path.write_text(to_json(replace(kept, provenance={**kept.provenance, **provenance})))

    rewritten(second, files={"opened": {str(read): digests.file_digest(read)}})
    rewritten(first, beside={"model_run": second.run_id})
    for now, why in (("before", None), ("after it", "the training of its second model: ")):
        read.write_text(now)
        runs = Runs(run_states(made[0].nodes["tracking"]))
        found = runs.spoiled.why(next(run for run in runs.all if run.run_id == first.run_id), with_training=True)
        assert (found is None) if why is None else found.startswith(why)


def test_jobs_on_one_model_that_is_not_trained_wait_for_the_first(store, job):
    jobs = [job("Measure", model=SPOT), job("Measure", model=SPOT, checkpoint="final")]
    assert states(jobs) == ["to do", "after others"]
    words = {"overrides": (), "config_dirs": (), "folder": Path("x"), "workers": 1}
    made = record.record(start(jobs, "s"), "s", **words)
    record.keep(made, jobs[0].nodes["tracking"])
    assert record.find(jobs[0].nodes["tracking"], "s") == made
    assert [stands.state for stands in status(made).jobs] == ["to do", "after others"], (
        "the status tells what the plan does"
    )
    training = known_jobs(jobs)[0].models[-1]
    alive = _mark_of(os.getppid(), sign_of_life(9.0).tags())
    going = store.client.create_run(store.experiment_id(), tags={"identity": training.identity, LIFE_TAG: alive})
    for found in (plan_with_states(known_jobs(jobs), reused=True).jobs, status(made).jobs):
        assert [stands.state for stands in found] == ["after others"] * 2, "nothing is idle: the model is being trained"
        assert found[0].why == f"its model is being trained by run {going.info.run_id[:8]}"
    store.client.delete_run(going.info.run_id)
    run_job(jobs[0], sweep="s")
    assert states(jobs) == ["finished", "to do"] == [stands.state for stands in status(made).jobs]


def test_the_time_of_a_job_has_the_trainings_in_it_that_it_makes(store, job):
    jobs = [job("Measure", model=SPOT, seed=seed) for seed in range(3)]
    trainings = [each.experiment for each in known_jobs(jobs)[0].models]
    run_job(job("Measure"), sweep="s")
    made = plan_with_states(known_jobs(jobs), reused=True)
    assert made.seconds is None and made.jobs[0].unknown == tuple(trainings)
    assert f"no run of {', '.join(sorted(trainings))} has finished" in "\n".join(summary(made))
    run_job(jobs[0], sweep="s")
    typical = estimate.typical_seconds(run_states(jobs[0].nodes["tracking"]))
    alone = typical[made.jobs[0].experiment, ""]
    all_of_it = sum(typical[name, ""] for name in (*trainings, made.jobs[0].experiment))
    planned = plan_with_states(known_jobs(jobs), reused=True)
    assert [each.seconds for each in planned.jobs] == pytest.approx([alone, all_of_it, all_of_it])
    started = start(jobs, "t")
    assert started.seconds == pytest.approx({1: all_of_it, 2: all_of_it})
    kept = record.record(started, "t", overrides=(), config_dirs=(), folder=Path("x"), workers=1)
    assert status(kept).left == pytest.approx(2 * all_of_it) == planned.seconds
    twice = plan_with_states(known_jobs([jobs[1], job("Measure", model=SPOT, seed=1, checkpoint="final")]), reused=True)
    without = all_of_it - typical[trainings[0], ""]
    assert [each.seconds for each in twice.jobs] == pytest.approx([all_of_it, without]), "the first training is shared"


def test_latest_is_looked_up_once_and_named(store, job):
    tracked = {"_target_": "paribus.models.tracked.Tracked", "run": "latest"}
    first = run_job(job("Train")).run_id
    (known,) = known_jobs([job("Measure", model=tracked)])
    assert known.job.nodes["model"].run == first and known.job.overrides[-1].startswith("model.run=")
    assert known.job.tree["model"]["run"] == first
    run_job(job("Train", seed=2))
    (later,) = known_jobs([job("Measure", model=tracked)])
    assert later.identity != known.identity
    assert known_jobs([known.job])[0].identity == known.identity


def test_a_comparison_comes_after_the_others(store, job):
    jobs = [job("Measure"), job("Compare")]
    made = plan_with_states(known_jobs(jobs), reused=True)
    assert [each.state for each in made.jobs] == ["to do", "after others"] and made.jobs[1].identity is None
    run_job(jobs[0], sweep="s")
    made = plan_with_states(known_jobs(jobs), reused=True)
    assert [each.state for each in made.jobs] == ["finished", "to do"] and made.jobs[1].identity
    compared = run_job(jobs[1], sweep="s").run_id
    made = plan_with_states(known_jobs(jobs), reused=True)
    assert [each.state for each in made.jobs] == ["finished"] * 2 and made.jobs[1].run_id == compared
    more = [*jobs, job("Measure", seed=1)]
    assert states(more) == ["finished", "after others", "to do"]
    run_job(more[2], sweep="s")
    (stale,) = plan_with_states(known_jobs(jobs[1:]), reused=True).jobs
    assert stale.state == "stale" and stale.again and "other runs" in stale.why


def test_a_sweep_takes_its_comparison_last_and_knows_it_afterwards(store, job):
    jobs = [job("Compare"), job("Measure"), job("Measure", seed=1)]
    started = start(jobs, "one")
    assert started.todo == (1, 2, 0) and started.known[0].identity is None
    made = record.record(started, "one", overrides=(), config_dirs=(), folder=Path("x"), workers=1)
    assert [stands.state for stands in status(made).jobs] == ["after others", "to do", "to do"]
    for each in (jobs[1], jobs[2]):
        run_job(each, sweep="one")
    assert status(made).left is None, "no comparison has finished yet"
    compared = run_job(jobs[0], sweep="one").run_id
    assert [stands.state for stands in status(made).jobs] == ["finished"] * 3
    assert status(made).jobs[0].run.run_id == compared and status(made).complete
    again = start(jobs, "two")
    assert again.todo == () and again.settled[0].run_id == compared


def test_a_sweep_says_whether_it_goes_on(store, job, monkeypatch):
    made = record.record(
        start([job("Measure")], "one"), "one", overrides=(), config_dirs=(), folder=Path("x"), workers=1
    )
    assert f"goes on (process {os.getpid()})" in text(status(made))
    gone = replace(made, process_started="before")
    assert "its command has ended before all were through" in text(status(gone))
    run_job(job("Measure"), sweep="one")
    assert "its command has ended\n" in text(status(gone))
    assert "started on another machine" in text(status(replace(gone, host="elsewhere")))


def test_what_has_changed_since_the_last_start_of_a_command_is_told(store, job):
    """Here the seeds stand for an option in a file of the user's: the command is the same, the jobs are not."""
    spec = job("Measure").nodes["tracking"]

    def begun(sweep, *seeds):
        started = start([job("Measure", seed=seed) for seed in seeds], sweep)
        made = record.record(started, sweep, overrides=("x=1,2",), config_dirs=(), folder=Path(sweep), workers=1)
        changed = record.changed_since(made, spec, started.todo)
        record.keep(made, spec)
        return changed

    run_job(job("Measure", seed=3), sweep="zero")
    assert begun("one", 0, 1) is None and begun("two", 0, 1) is None
    assert begun("three", 0, 2).startswith("1 of 2 jobs are not those of the last start of this command (two): ")
    assert begun("four", 0, 3) is None, "the other one is reused"
    other = record.record(
        start([job("Measure")], "x"), "x", overrides=("x=1",), config_dirs=(), folder=Path("x"), workers=1
    )
    assert record.changed_since(other, spec, (0,)) is None, "another command"


def test_the_status_of_a_sweep_moves_with_its_folder(store, job, tracked_workdir, tmp_path_factory):
    jobs = [job("Measure")]
    made = record.record(start(jobs, "one"), "one", overrides=(), config_dirs=(), folder=Path("x"), workers=1)
    spec = jobs[0].nodes["tracking"]
    record.keep(made, spec)
    run_job(jobs[0], sweep="one")
    moved = tmp_path_factory.mktemp("moved") / "project"
    shutil.copytree(tracked_workdir, moved)
    relocate(moved)
    (tracked_workdir / local.DATABASE).unlink()
    found = record.find(replace(spec, folder=str(moved)), "one")
    assert status(found).complete, "it looked where the runs were when the sweep was begun, and said: to do"
    other = replace(spec, kind="server", uri="http://me:secret@host:1", experiment="x")
    record.keep(replace(made, sweep="two", stores=(other, spec)), replace(spec, folder=str(moved)))
    kept = record.find(replace(spec, folder=str(moved)), "two").stores
    assert [each.uri for each in kept] == ["http://host:1", None] and kept[1].folder == str(Path.cwd())


def test_no_password_of_a_server_is_kept_anywhere(store, job, tracked_workdir, monkeypatch):
    password = uuid.uuid4().hex
    secret = f"http://me:{password}@host:5000"
    monkeypatch.setattr("sys.argv", ["paribus", "-m", f"tracking.uri={secret}"])
    provenance._process.cache_clear()
    made = replace(job("Measure", tracking={"uri": secret}), overrides=("seed=0", f"tracking.uri={secret}"))
    run_job(made, sweep="one")
    words = ["seed=0", f"tracking.uri={secret}"]
    kept = record.record(start([made], "one"), "one", overrides=words, config_dirs=(), folder=Path("x"), workers=1)
    record.keep(kept, made.nodes["tracking"])
    provenance._process.cache_clear()
    files = [path for path in tracked_workdir.rglob("*") if path.is_file()]
    assert len(files) > 5 and any(b"http://host:5000" in path.read_bytes() for path in files)
    assert [str(path) for path in files if password.encode() in path.read_bytes()] == []


def test_what_was_killed_or_failed_in_a_sweep_is_not_the_rest_of_it(store, job):
    jobs = [job("Measure"), job("Measure", seed=1)]
    started = start(jobs, "one")
    made = record.record(started, "one", overrides=(), config_dirs=(), folder=Path("x"), workers=1)
    run_job(jobs[0], sweep="one")
    (run,) = run_states(jobs[0].nodes["tracking"])
    lost = store.client.create_run(store.experiment_id(), tags={"identity": started.known[1].identity, "sweep": "one"})
    store.client.set_terminated(lost.info.run_id, "KILLED")
    assert status(made).left is None and "for the rest" not in text(status(made))
    gone = replace(made, process_started="before")
    assert status(gone).left == run.seconds, "the same command runs it"
    store.client.set_terminated(lost.info.run_id, "FAILED")
    assert status(made).left is status(gone).left is None, "it may fail again"
    assert "what is missing\n" in text(status(gone)), "what failed for the store is tried again without a word"
    store.client.set_tag(lost.info.run_id, "failure", "code")
    assert "what is missing, sweep.retry=failed added what failed too" in text(status(gone))
    store.client.set_tag(lost.info.run_id, "sweep", "before")
    assert status(made).left == run.seconds, "this sweep tries it"


def test_times_are_told_by_earlier_runs_of_the_type(store, job):
    jobs = [job("Measure", seed=seed) for seed in range(5)]
    before = plan_with_states(known_jobs(jobs), reused=True)
    assert before.seconds is None
    run_job(jobs[0], sweep="s")
    made = plan_with_states(known_jobs(jobs), reused=True, workers=2)
    (run,) = run_states(jobs[0].nodes["tracking"])
    assert made.seconds == pytest.approx(2 * run.seconds) and made.counts == {"finished": 1, "to do": 4}


def test_workers_that_nobody_asked_for_are_there_where_earlier_runs_tell_that_they_help(store, job, monkeypatch):
    jobs = [job("Measure", seed=seed) for seed in range(5)]
    planned = {"reused": True, "workers": 8, "unasked": True}
    monkeypatch.setattr(estimate, "SAVED", 0.0)
    assert plan_with_states(known_jobs(jobs), **planned).workers == start(jobs, "s").workers(8) == 1, "no run tells"
    run_job(jobs[0], sweep="s")
    assert plan_with_states(known_jobs(jobs), **planned).workers == start(jobs, "s").workers(8) == 4, "one is done"
    (run,) = run_states(jobs[0].nodes["tracking"])
    monkeypatch.setattr(estimate, "SAVED", 3.5 * run.seconds)
    assert plan_with_states(known_jobs(jobs), **planned).workers == start(jobs, "s").workers(8) == 1, "3 runs saved"
    assert start([job("Measure"), job("Fail")], "s").workers(8) == 1, "of one of them nothing is known"


def test_the_store_is_asked_once_and_not_changed(store, job, monkeypatch):
    jobs = [job("Measure", seed=seed) for seed in range(4)]
    run_job(jobs[0], sweep="s")
    known = known_jobs(jobs)
    before = (local.DATABASE, os.stat(local.DATABASE).st_mtime_ns)
    asked = []
    monkeypatch.setattr(standings, "run_states", lambda spec: asked.append(spec) or run_states(spec))
    plan_with_states(known, reused=True)
    assert len(asked) == 1 and before[1] == os.stat(local.DATABASE).st_mtime_ns


def test_every_state_is_told():
    assert set(standings.STATES) == {"finished", "running", "failed", "killed", "stale", "after others", "to do"}
    assert all_standing([], {}, reused=True) == []
