"""A run ends once: whatever comes at whatever moment, it is either not finished or complete."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from paribus.errors import CheckpointError, ConfigError, ExperimentError
from paribus.results import io
from paribus.running import holding
from paribus.running import run as running
from paribus.running.holding import SignalsHeld
from paribus.running.run import run_job
from paribus.running.workspace import FileWorkspace
from paribus.sweep import signals
from paribus.tracking.run import TrackedRun


@pytest.fixture
def after(monkeypatch):
    """Do something right after the n-th call of a method of the store's client."""

    def change(store, name, what, *, nth=1, before=False):
        original, calls = getattr(store.client, name), []

        def called(*args, **kwargs):
            calls.append(args)
            if before and len(calls) == nth:
                what()
            answer = original(*args, **kwargs)
            if not before and len(calls) == nth:
                what()
            return answer

        monkeypatch.setattr(store.client, name, called)

    return change


def raise_signal():
    signal.raise_signal(signal.SIGTERM)


def refuse_connection():
    raise ConnectionError("the store is away")


def stopped(request, **how):
    with signals.raising(), pytest.raises(KeyboardInterrupt) as caught:
        run_job(request, **how)
    return caught.value


@pytest.mark.parametrize("before", [True, False])
def test_a_signal_as_the_run_finishes_waits_until_it_is_finished(store, job, after, before):
    after(store, "set_terminated", raise_signal, before=before)
    error = stopped(job("Measure"), sweep="s1", output_dir=Path("out"))
    (kept,) = store.runs()
    assert kept.status == "FINISHED" and "error_message" not in kept.tags
    for result in (store.result(kept.run_id), io.read(Path("out"))):
        assert result.success and result.error_message is None and result.aggregates.mean_delta is not None
    assert error.finished is True and error.run_id == kept.run_id
    assert "partial.json" not in store.artifacts(kept.run_id)
    assert not list(Path("multirun/.work").iterdir())
    assert run_job(job("Measure"), sweep="s2").run_id == kept.run_id


def test_an_error_after_the_end_changes_nothing_any_more(store, job, monkeypatch):
    monkeypatch.setattr(FileWorkspace, "remove", lambda self: refuse_connection())
    with pytest.raises(ConnectionError):
        run_job(job("Measure"), output_dir=Path("out"))
    (kept,) = store.runs()
    assert kept.status == "FINISHED" and store.result(kept.run_id).success and io.read(Path("out")).success
    assert store.complete(kept.run_id).success


def test_a_signal_as_the_run_begins_does_not_leave_it_running(store, job, after):
    after(store, "create_run", raise_signal)
    stopped(job("Measure"), output_dir=Path("out"))
    assert [(run.status, run.tags["error_message"]) for run in store.runs()] == [("KILLED", "interrupted (SIGTERM)")]


def test_a_run_lost_while_it_began_is_closed_at_the_next_start_in_the_same_process(store, job, after):
    after(store, "create_run", refuse_connection)  # it was made, the answer got lost
    with pytest.raises(ExperimentError, match="could not be begun"):
        run_job(job("Measure"))
    assert [run.status for run in store.runs()] == ["RUNNING"]
    run_job(job("Measure"))
    assert sorted(run.status for run in store.runs()) == ["FINISHED", "KILLED"]


def test_a_run_that_does_not_finish_has_partial_json_and_no_result_json(store, job, node):
    for how in ("error", "interrupt"):
        with pytest.raises((ExperimentError, KeyboardInterrupt)):
            run_job(job(node("Fail", how=how)), output_dir=Path(how))
        kept = store.runs(limit=1)[0]
        for names in (store.artifacts(kept.run_id), os.listdir(how)):
            assert "partial.json" in names and "result.json" not in names
        found = store.result(kept.run_id)
        assert not found.success and found.metrics["kept"] == 1.5 and "tables/before.parquet" in found.artifacts
        assert io.read_partial(Path(how)).error_message == found.error_message
        with pytest.raises(Exception, match="did not finish; partial.json has what it found"):
            io.read(Path(how))


def test_a_store_that_does_not_take_the_end_leaves_a_complete_result_as_partial(store, job, after):
    after(store, "set_terminated", refuse_connection, before=True)
    with pytest.raises(ExperimentError, match="the store is away"):
        run_job(job("Measure"), output_dir=Path("out"))
    (kept,) = store.runs()
    assert kept.status == "FAILED" and "the store is away" in kept.tags["error_message"]
    found = store.result(kept.run_id)
    assert not found.success and found.aggregates.mean_delta is not None, "what was measured is not thrown away"
    assert "result.json" not in [*store.artifacts(kept.run_id), *os.listdir("out")]


def test_an_end_whose_answer_is_lost_is_an_end(store, job, after):
    after(store, "set_terminated", refuse_connection)
    result = run_job(job("Measure"), output_dir=Path("out"))
    (kept,) = store.runs()
    assert result.success and kept.status == "FINISHED" and store.complete(kept.run_id).success


def test_where_nobody_knows_whether_the_run_is_finished_nobody_says_it_failed(store, job, after, monkeypatch):
    after(store, "set_terminated", refuse_connection)
    original = store.client.get_run
    monkeypatch.setattr(store.client, "get_run", lambda run_id: refuse_connection())
    with pytest.raises(ExperimentError, match="does not say whether"):
        run_job(job("Measure"), output_dir=Path("out"))
    monkeypatch.setattr(store.client, "get_run", original)
    (kept,) = store.runs()
    assert kept.status == "FINISHED" and "error_message" not in kept.tags
    assert store.complete(kept.run_id).success and "partial.json" not in os.listdir("out")


def shorten(path):
    path.write_bytes(path.read_bytes()[:-7])


def turn_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def fail_silently(path):
    text = path.read_text()
    path.write_text(text.replace('"success": true', '"success": false'))


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("figures/sweep.png", Path.unlink, "figures/sweep.png is missing"),
        ("tables/sweep.parquet", shorten, "tables/sweep.parquet has"),
        ("tables/sweep.json", turn_a_byte, "tables/sweep.json was changed"),
        ("result.json", shorten, "not a readable result.json"),
        ("result.json", fail_silently, "was changed after it was written"),
        ("result.json", Path.unlink, "has no artifact 'result.json'"),
    ],
)
def test_a_run_that_is_not_whole_is_measured_again_and_it_is_said(store, job, caplog, name, damage, said):
    first = run_job(job("Measure"))
    folder = store.download(first.run_id, "report.html").parent
    damage(folder / name)
    second = run_job(job("Measure", reuse="always"))
    assert second.run_id != first.run_id and not second.reused
    assert said in caplog.text and "measured again" in caplog.text
    assert second.aggregates == first.aggregates
    third = run_job(job("Measure", reuse="always"))
    assert third.run_id == second.run_id and third.reused


def test_an_older_whole_run_is_taken_where_the_latest_is_damaged(store, job):
    first, second = run_job(job("Measure")), run_job(job("Measure"))
    (store.download(second.run_id, "report.html")).unlink()
    assert run_job(job("Measure", reuse="always")).run_id == first.run_id


def test_a_result_names_every_other_file_of_its_run(store, job, tracked_workdir):
    result = run_job(job("Train"))
    folder = store.download(result.run_id, "result.json").parent
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == {*result.artifacts, "result.json"} and "checkpoints/checkpoint_e00001.pt" in there
    assert store.complete(result.run_id).artifacts == result.artifacts


def test_a_checkpoint_that_was_changed_is_not_taken_for_the_trained_model(store, job):
    trained = run_job(job("Train"))
    tracked = {"_target_": "paribus.models.tracked.Tracked", "run": trained.run_id}
    import torch

    file = store.download(trained.run_id, "checkpoints/checkpoint_e00002.pt")
    torch.save({"model": {"w": torch.full((2,), 1e6)}, "epoch": 2}, file)
    with pytest.raises(CheckpointError, match=r"checkpoint_e00002\.pt: was changed after the training run finished"):
        run_job(job("Measure", model=tracked))
    assert run_job(job("Measure", model=tracked, checkpoint="epoch:1")).success, "the others are as they were"


def test_a_comparison_says_which_run_it_cannot_read(store, job, node, caplog):
    first, second = run_job(job("Measure")), run_job(job("Measure", seed=1))
    shorten(store.download(second.run_id, "result.json"))
    compared = run_job(job(node("Compare")))
    assert compared.aggregates.custom["summary"] == ["1 means compared"]
    assert f"run {second.run_id[:8]} (toy_measure s1): not a readable result.json" in caplog.text
    assert first.run_id[:8] not in caplog.text
    assert "no runs of its groups" not in caplog.text, "a table of that name in a comparison of no groups is its own"


def test_a_finished_run_is_not_written_to(store, job):
    run = store.start("r", folder=Path("out"))
    run.metric("loss", 1.0, 1)
    run.finish("FINISHED")
    before = store.runs()[0]
    for write in (
        lambda: run.tags({"a": "b"}),
        lambda: run.note("later"),
        lambda: run.metrics({"late": 1.0}),
        lambda: run.metric("loss", 2.0, 2),
        lambda: run.text("result.json", "{}"),
        lambda: run.figure("late", {"png": b"", "pdf": b""}),
        lambda: run.data_set("data", "ab"),
        lambda: run.withdraw("result.json"),
    ):
        with pytest.raises(RuntimeError, match="a finished run is not written to"):
            write()
    run.finish("FAILED", "too late")
    assert store.runs()[0] == before and store.artifacts(run.run_id) == []


@pytest.mark.parametrize("before", [True, False])
def test_metrics_that_a_signal_found_on_their_way_arrive_once(store, job, after, before):
    run = store.start("r", folder=Path("out"))
    for step in range(30):
        run.metric("loss", step / 7, step)
    after(store, "log_batch", refuse_connection, before=before)
    with pytest.raises(ConnectionError):
        run.flush()
    run.finish("KILLED", "interrupted")
    history = store.client.get_metric_history(run.run_id, "loss")
    assert [(m.step, m.value) for m in history] == [(step, step / 7) for step in range(30)]


def test_a_step_that_is_not_whole_is_measured_again_with_its_parent(store, job, seq, caplog):
    study = seq(train="Train", measure="Measure")
    first = run_job(job(study), sweep="s1")
    steps = first.tables["steps"].frame.set_index("step")["run_id"]
    (store.download(steps["measure"], "tables") / "sweep.parquet").unlink()
    second = run_job(job(study), sweep="s2")
    again = second.tables["steps"].frame.set_index("step")["run_id"]
    assert "step measure: its file tables/sweep.parquet is missing" in caplog.text
    assert second.run_id != first.run_id and again["train"] == steps["train"] and again["measure"] != steps["measure"]
    store.client.delete_run(again["measure"])
    assert run_job(job(study), sweep="s3").run_id not in (first.run_id, second.run_id)


def test_a_signal_between_a_steps_end_and_its_parents_costs_only_the_parent(store, job, seq, after):
    study = seq(train="Train", measure="Measure")
    after(store, "set_terminated", raise_signal, nth=2)
    error = stopped(job(study), sweep="s1", output_dir=Path("out"))
    runs = {run.experiment_type: run for run in store.runs()}
    assert {name: run.status for name, run in runs.items()} == {
        "sequence": "KILLED", "toy_train": "FINISHED", "toy_measure": "FINISHED",
    }  # fmt: skip
    assert store.result(runs["toy_measure"].run_id).success
    assert error.finished is False and error.run_id == runs["sequence"].run_id
    assert "result.json" not in store.artifacts(runs["sequence"].run_id)
    again = run_job(job(study), sweep="s2")
    assert again.success and len(store.runs()) == 4, "the steps are taken as they are"


def test_what_a_killed_process_left_to_resume_from_goes_with_reuse(store, job):
    first = run_job(job("Train"))
    FileWorkspace(store.runs()[0].identity, lambda path: None).release()  # as after a kill right after the status
    assert list(Path("multirun/.work").iterdir())
    assert run_job(job("Train", reuse="always")).run_id == first.run_id
    assert not list(Path("multirun/.work").iterdir())


def test_folders_beside_it_of_dead_processes_go_with_a_workspace(workdir):
    root = Path("multirun/.work")
    (root / "abc-999999999").mkdir(parents=True)
    (root / f"abc-{os.getpid()}").mkdir()
    FileWorkspace("abc", lambda path: None).remove()
    assert os.listdir(root) == [f"abc-{os.getpid()}"]


def test_without_tracking_a_finished_run_in_the_folder_is_not_overwritten(workdir, job, node):
    off = {"kind": "off"}
    with pytest.raises(ExperimentError):
        run_job(job("Fail", tracking=off), output_dir=Path("out"))
    assert {"partial.json", "traceback.txt"} <= set(os.listdir("out")) and "result.json" not in os.listdir("out")
    run_job(job("Measure", tracking=off), output_dir=Path("out"))
    assert "partial.json" not in os.listdir("out") and "traceback.txt" not in os.listdir("out")
    before = Path("out/result.json").read_bytes()
    with pytest.raises(ConfigError, match="holds a finished run"):
        run_job(job("Measure", tracking=off, seed=1), output_dir=Path("out"))
    assert Path("out/result.json").read_bytes() == before


def test_a_figure_that_could_not_be_drawn_is_in_the_runs_note(store, job, node):
    result = run_job(job(node("Fail", how="figure")))
    assert "figure none could not be drawn" in store.runs()[0].tags["mlflow.note.content"]
    assert not [name for name in result.artifacts if name.startswith("figures/")]


def test_result_json_is_the_last_file(store, job, monkeypatch):
    order, upload = [], TrackedRun._upload
    monkeypatch.setattr(TrackedRun, "_upload", lambda self, path, name: (order.append(name), upload(self, path, name)))
    run_job(job("Train"))
    assert order[0] == "config.yaml" and order[-1] == "result.json" and order.count("result.json") == 1


def test_held_signals_wait_and_come_afterwards():
    done = []
    with signals.raising():
        with pytest.raises(signals.Interrupted) as caught:
            with SignalsHeld(), SignalsHeld():
                raise_signal()
                done.append("inner")
            done.append("never")
        assert caught.value.number == signal.SIGTERM
        with pytest.raises(signals.Interrupted):
            raise_signal()
    assert done == ["inner"]


def test_a_hold_does_not_hide_its_own_error_and_needs_no_main_thread(monkeypatch):
    with signals.raising(), pytest.raises(ValueError, match="mine"), SignalsHeld():
        raise ValueError("mine")
    seen = []

    def body():
        with SignalsHeld():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_a_store_that_hangs_does_not_hold_a_signal_for_ever(monkeypatch):
    monkeypatch.setattr(holding, "PATIENCE", 0.0)
    with signals.raising(), pytest.raises(signals.Interrupted), SignalsHeld():
        raise_signal()
        time.sleep(5)


def test_a_reused_result_says_so_and_does_not_store_it(store, job):
    first = run_job(job("Measure"))
    again = run_job(job("Measure", reuse="always"))
    assert (first.reused, again.reused, store.result(first.run_id).reused) == (False, True, False)
    assert "reused" not in json.loads(store.download(first.run_id, "result.json").read_text())


def test_what_dead_processes_left_running_is_looked_for_again_after_a_failure(store, job):
    with pytest.raises(ExperimentError):
        run_job(job("Fail"))
    assert not running._reaped
    run_job(job("Measure"))
    assert running._reaped
