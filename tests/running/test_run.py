"""One job from request to kept run, and every way it can end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import paribus_toy
import pytest

from paribus.errors import ConfigError, DataError, ExperimentError
from paribus.models.tracked import Tracked
from paribus.results import io
from paribus.running import run as running
from paribus.running.resolve import from_store
from paribus.running.run import run_job, single_folder
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec


def test_a_finished_run_has_everything(store, job, tracked_workdir):
    result = run_job(job("Measure", seed=4), output_dir=Path("out"))
    (kept,) = store.runs()
    assert result.success and result.run_id == kept.run_id and kept.status == "FINISHED"
    assert kept.name == "toy_measure s4" and result.feature == "mean"
    expected = {"experiment_type": "toy_measure", "evidence": "interventional", "subject": "toy", "seed": "4",
                "experiment_version": "1", "n_train": "10", "model": "toy"}  # fmt: skip
    assert {name: kept.tags.get(name) for name in expected} == expected
    assert "training" not in kept.tags, "the condition is no part of an experiment that does not depend on it"
    assert len(kept.identity) == 32
    assert kept.params["experiment"] == "toy_measure" and kept.params["data.seed"] == 4
    assert kept.metrics["mean"] == kept.metrics["mean_delta"] == result.aggregates.mean_delta
    history = store.client.get_metric_history(kept.run_id, "curve/mean")
    assert sorted(m.step for m in history) == [-1, 0, 1]
    files = {name for folder in ("", "tables", "figures") for name in store.artifacts(kept.run_id, folder)}
    assert files == {
        "config.yaml", "result.json", "report.html", "tables/sweep.parquet", "tables/sweep.json",
        "figures/sweep.png", "figures/sweep.pdf",
    }  # fmt: skip
    assert (tracked_workdir / "out" / "figures" / "sweep.png").read_bytes()[:4] == b"\x89PNG"
    again = store.result(kept.run_id)
    assert again.aggregates == result.aggregates and again.run_id == kept.run_id
    assert again.tables["sweep"].frame.equals(result.tables["sweep"].frame)
    assert again.config["experiment"]["_target_"] == "paribus_toy.Measure" and again.started_at
    for name in ("command", "git", "packages", "seed", "repeat", "device", "host"):
        assert name in again.provenance
    assert again.provenance["repeat"] == "paribus experiment=toy_measure seed=4"
    assert "toy_measure" in (tracked_workdir / "out" / "report.html").read_text()
    assert not list((tracked_workdir / "multirun" / ".work").iterdir()), "the workspace goes when the run is finished"


def test_files_of_a_single_run_go_to_a_folder_of_their_own(store, job, tracked_workdir):
    run_job(job("Measure"))
    (folder,) = (tracked_workdir / "multirun" / "single").glob("*/*")
    assert io.read(folder).experiment_type == "toy_measure"
    assert single_folder() != single_folder()


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("error", ExperimentError, "RuntimeError: it broke in two lines"),
        ("data", DataError, "row 7 is broken"),
        ("table", ExperimentError, "must be named"),
    ],
)
def test_a_failing_run_is_failed_with_its_message_and_keeps_what_it_had(store, job, how, error, message):
    with pytest.raises(error, match=message) as caught:
        run_job(job({"_target_": "paribus_toy.Fail", "how": how}), output_dir=Path("out"))
    (kept,) = store.runs()
    assert caught.value.run_id == kept.run_id and "\n" not in str(caught.value)
    assert kept.status == "FAILED" and message in kept.tags["error_message"] and kept.metrics["trace"] == 0.5
    partial = store.result(kept.run_id)
    assert partial.success is False and message in partial.error_message and partial.metrics["kept"] == 1.5
    assert partial.tables["before"].frame["x"].tolist() == [1, 2]
    assert "tables/before.parquet" in store.artifacts(kept.run_id, "tables")
    assert "toy_subject.py" in store.download(kept.run_id, "traceback.txt").read_text()
    assert message in store.download(kept.run_id, "report.html").read_text()


def test_an_interrupted_run_is_killed_and_the_interrupt_goes_on(store, job):
    with pytest.raises(KeyboardInterrupt):
        run_job(job({"_target_": "paribus_toy.Fail", "how": "interrupt"}))
    (kept,) = store.runs()
    assert kept.status == "KILLED" and kept.tags["error_message"] == "interrupted (SIGTERM)"
    assert store.result(kept.run_id).tables["before"].frame["x"].tolist() == [1, 2]


def test_data_that_cannot_be_loaded_fail_the_run(store, job):
    with pytest.raises(DataError, match="row 3 is broken"):
        run_job(job("Measure", data={"broken": True}))
    assert [run.status for run in store.runs()] == ["FAILED"]


def test_a_figure_that_cannot_be_drawn_costs_no_numbers(store, job):
    result = run_job(job({"_target_": "paribus_toy.Fail", "how": "figure"}))
    assert result.success and "figure none could not be drawn" in result.diagnostics.warnings[0]
    assert store.result(result.run_id).diagnostics.warnings == result.diagnostics.warnings


def test_an_artifact_folder_that_cannot_be_written_leaves_a_failed_run(store, job, tracked_workdir):
    store.experiment_id()
    (tracked_workdir / "mlruns" / "toys").write_text("a file where the folder should be")
    with pytest.raises(ExperimentError, match=r"Error"):
        run_job(job("Measure"), output_dir=Path("out"))
    (kept,) = store.runs()
    assert kept.status == "FAILED" and kept.tags["error_message"]


def test_an_output_folder_that_cannot_be_written_leaves_no_running_run(store, job, tracked_workdir):
    (tracked_workdir / "out").write_text("")
    with pytest.raises(ExperimentError):
        run_job(job("Measure"), output_dir=Path("out"))
    assert store.runs() == []


@pytest.mark.parametrize(
    ("reuse", "sweep", "reused"),
    [("auto", None, False), ("auto", "s1", True), ("always", None, True), ("never", "s1", False)],
)
def test_a_finished_run_of_the_same_identity_is_reused(store, job, reuse, sweep, reused):
    first = run_job(job("Measure"))
    second = run_job(job("Measure", reuse=reuse), sweep=sweep)
    assert (second.run_id == first.run_id) is reused
    assert len(store.runs()) == (1 if reused else 2)
    assert second.aggregates == first.aggregates and second.tables["sweep"].frame.equals(first.tables["sweep"].frame)


def test_only_what_matters_makes_another_run(store, job, node):
    first = run_job(job("Measure"))
    for same in (
        job(node("Measure", label="other"), reuse="always"),
        job("Measure", reuse="always", device={"batch_limit": 7}),
        job("Measure", reuse="always", training={"condition": "standard"}),
        job("Measure", reuse="always", tracking={"heartbeat_seconds": 1.0}),
    ):
        assert run_job(same).run_id == first.run_id
    for other in (
        job(node("Measure", factor=2.0), reuse="always"),
        job("Measure", reuse="always", seed=1),
        job("Measure", reuse="always", model={"width": 3}),
        job("Measure", reuse="always", stats={"n_bootstrap": 100}),
        job("Measure", reuse="always", data={"n_train": 11}),
    ):
        assert run_job(other).run_id != first.run_id


def test_a_failed_run_or_one_without_its_files_is_not_reused(store, job, node, tracked_workdir, caplog):
    for _ in range(2):
        with pytest.raises(ExperimentError):
            run_job(job("Fail", reuse="always"))
    assert len(store.runs()) == 2
    first = run_job(job("Measure"))
    shutil.rmtree(store.download(first.run_id, "result.json").parent)
    assert run_job(job("Measure", reuse="always")).run_id != first.run_id
    assert "cannot be reused" in caplog.text


def test_jobs_of_one_process_share_their_data(store, job, node):
    for factor in (1.0, 2.0, 3.0):
        run_job(job(node("Measure", factor=factor)))
    assert paribus_toy.LOADED == [0]


def test_without_tracking_the_same_result_stands_in_the_folder(workdir, job):
    result = run_job(job("Measure", tracking={"kind": "off"}), output_dir=Path("out"))
    assert result.run_id is None and not (workdir / "mlflow.db").exists() and not (workdir / "mlruns").exists()
    restored = io.read(workdir / "out")
    assert restored.aggregates == result.aggregates and (workdir / "out" / "figures" / "sweep.pdf").exists()


SLEEPER = """
import sys
sys.path.insert(0, {folder!r})
import conftest, signal
class Interrupted(KeyboardInterrupt): pass
def stop(number, frame): raise Interrupted("SIGTERM")
signal.signal(signal.SIGTERM, stop)
from paribus.running.run import run_job
run_job(conftest.toy_job({{"_target_": "paribus_toy.Fail", "how": "sleep"}}))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_never_leaves_a_run_running(store, job, number, prepared):
    code = SLEEPER.format(folder=str(Path(__file__).parent))
    child = prepared.start([sys.executable, "-c", code])
    child.wait_for("started\n")
    child.send_signal(number)
    child.communicate(timeout=30)
    assert child.returncode != 0
    if number == signal.SIGKILL:
        assert store.runs()[0].status == "RUNNING"
        running._reaped.clear()
        run_job(job("Measure"))
    killed = [run for run in store.runs() if run.experiment_type == "toy_fail"]
    assert [run.status for run in killed] == ["KILLED"] and killed[0].tags["error_message"]


TRAINER = """
import sys
sys.path.insert(0, {folder!r})
import conftest
from paribus.running.run import run_job
run_job(conftest.toy_job(conftest.toy("Train", die_at=2)))
"""


def test_training_goes_on_where_it_was_killed(store, job, tracked_workdir, prepared):
    code = TRAINER.format(folder=str(Path(__file__).parent))
    done = prepared.run([sys.executable, "-c", code])
    assert done.returncode == -9, done.stderr
    assert len(list((tracked_workdir / "multirun" / ".work").glob("*/*.pt"))) == 3
    result = run_job(job("Train"))
    assert result.aggregates.custom["resumed_from"] == 2
    assert [Path(p).name for p in store.artifacts(result.run_id, "checkpoints")] == [
        "checkpoint_e00001.pt", "checkpoint_e00002.pt", "checkpoint_e00003.pt",
    ]  # fmt: skip
    assert not list((tracked_workdir / "multirun" / ".work").iterdir())
    assert sorted(run.status for run in store.runs()) == ["FINISHED", "KILLED"]


@pytest.mark.parametrize(
    ("subject", "trainer"), [("builds", "train_set_completion"), ("tokens", "train_modular_addition")]
)
def test_a_study_without_models_says_who_trains_one_and_which_study_has_some(store, job, subject, trainer):
    with pytest.raises(ConfigError, match=rf"experiment={trainer}\), .* tracking.experiment=STUDY$"):
        from_store(Tracked(), store, (subject,))
    run_job(job("Train", data={"n_train": 20}))
    other = open_store(TrackingSpec(experiment="another"))
    with pytest.raises(ConfigError, match=r"tracking.experiment=STUDY$"):
        from_store(Tracked(), other, (subject,))
    with pytest.raises(ConfigError, match="tracking.experiment=toys, which has the latest of this store$"):
        from_store(Tracked(), other, ("toy", None))


def test_a_tracked_model_brings_its_checkpoints_and_its_data(store, job, node):
    tracked = {"_target_": "paribus.models.tracked.Tracked", "run": "latest"}
    as_trained = {"_target_": "paribus.subjects.as_trained.AsTrained"}
    with pytest.raises(ConfigError, match="no finished training run"):
        run_job(job("Measure", model=tracked))
    trained = run_job(job("Train", data={"n_train": 20}))
    plain = run_job(job("Measure", data={"n_train": 20})).aggregates.mean_delta

    def mean(**changes):
        return run_job(job("Measure", model=tracked, data=as_trained, **changes)).aggregates.mean_delta

    assert mean() == pytest.approx(plain * 6), "peak_val is epoch 2: weights 1 + 2, twice"
    assert mean(checkpoint="final") == pytest.approx(plain * 12)
    assert mean(checkpoint="epoch:1") == mean(checkpoint="peak_ood") == pytest.approx(plain * 2)
    kept = store.runs(limit=1)[0]
    assert (
        kept.tags["training"] == "grokking"
        and kept.tags["model_run"] == trained.run_id
        and kept.tags["n_train"] == "20"
    )
    by_prefix = run_job(job("Measure", model={**tracked, "run": trained.run_id[:8]}, data=as_trained, reuse="always"))
    assert by_prefix.run_id in {run.run_id for run in store.runs()[1:]}, "the same model has the same identity"
    other_data = run_job(job("Measure", model=tracked, data={"n_train": 5}))
    assert other_data.aggregates.n_samples == 5


TRACKED = {"_target_": "paribus.models.tracked.Tracked"}
AS_TRAINED = {"_target_": "paribus.subjects.as_trained.AsTrained"}


@pytest.mark.parametrize(
    ("experiment", "groups", "message"),
    [
        (
            "Measure",
            {"data": AS_TRAINED},
            "only a tracked model was trained",
        ),
        ("Train", {"model": TRACKED}, "trains a model, it does not take one"),
        ("Measure", {"model": {**TRACKED, "run": "abcd"}}, "no such run"),
        (
            "Measure",
            {"model": TRACKED, "tracking": {"kind": "off"}},
            "no finished",
        ),
    ],
)
def test_a_model_that_cannot_be_resolved_leaves_no_run(store, job, experiment, groups, message):
    with pytest.raises(ConfigError, match=message):
        run_job(job(experiment, **groups))
    assert store.runs() == []


def test_a_run_that_trained_nothing_is_no_model(store, job):
    run_id = run_job(job("Measure")).run_id
    with pytest.raises(ConfigError, match="which trains no model"):
        run_job(job("Measure", model={"_target_": "paribus.models.tracked.Tracked", "run": run_id}))


def test_two_processes_with_the_same_request_do_not_share_a_workspace(workdir):
    from paribus.running.workspace import FileWorkspace

    first = FileWorkspace("abc", lambda path: None)
    second = FileWorkspace("abc", lambda path: None)
    assert first.folder != second.folder
    second.remove()
    third = FileWorkspace("abc", lambda path: None)
    assert third.folder != first.folder, "the first still works there"
    first.release()
    fourth = FileWorkspace("abc", lambda path: None)
    assert fourth.folder == first.folder
    assert json.dumps(sorted(os.listdir("multirun/.work")))
