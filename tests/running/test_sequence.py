"""Steps as nested runs: the model goes from the training to the others, and one failure stops nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from paribus.errors import ConfigError, ExperimentError
from paribus.running.run import run_job
from paribus.sweep import end as sweep_end
from paribus.sweep.outcome import DONE, FAILED, Outcome


def outcome(result):
    return Outcome(DONE, (), run_id=result.run_id, reused=result.reused)


def by_type(store):
    return {run.experiment_type: run for run in store.runs()}


def test_steps_after_training_work_on_its_model_as_nested_runs(store, job, seq, node):
    study = seq(train="Train", measure=node("Measure", factor=2.0))
    result = run_job(job(study, study="toys", seed=3), output_dir=Path("out"))
    plain = run_job(job("Measure", seed=3)).aggregates.mean_delta
    runs = {(run.experiment_type, run.tags.get("step")): run for run in store.runs()}
    parent, train, measure = (
        runs[("sequence", None)], runs[("toy_train", "train")], runs[("toy_measure", "measure")],
    )  # fmt: skip
    assert train.parent == measure.parent == parent.run_id == result.run_id
    assert {run.status for run in store.runs()} == {"FINISHED"}
    assert parent.name == "toys grokking s3" and measure.tags["training"] == "grokking"
    assert measure.tags["model_run"] == train.run_id
    assert measure.metrics["mean_delta"] == pytest.approx(plain * 2 * 6)
    assert parent.metrics["measure.mean"] == measure.metrics["mean"]
    assert result.tables["steps"].frame["status"].tolist() == ["FINISHED", "FINISHED"]
    assert result.tables["steps"].frame["run_id"].tolist() == [train.run_id, measure.run_id]
    assert Path("out/measure/report.html").exists() and Path("out/result.json").exists()
    assert measure.params["experiment.factor"] == 2.0 and "experiment.steps.train.epochs" not in measure.params


def test_a_failing_step_fails_itself_and_the_parent_and_the_others_go_on(store, job, seq):
    with pytest.raises(
        ExperimentError, match="1 of 3 steps did not finish: bad FAILED: RuntimeError: it broke"
    ) as caught:
        run_job(job(seq(train="Train", bad="Fail", measure="Measure")))
    runs = by_type(store)
    assert {kind: run.status for kind, run in runs.items()} == {
        "sequence": "FAILED", "toy_train": "FINISHED", "toy_fail": "FAILED", "toy_measure": "FINISHED",
    }  # fmt: skip
    assert caught.value.run_id == runs["sequence"].run_id
    steps = store.result(runs["sequence"].run_id).tables["steps"].frame
    assert steps["status"].tolist() == ["FINISHED", "FAILED", "FINISHED"]
    assert steps["run_id"].tolist()[1] == runs["toy_fail"].run_id


def test_without_a_trained_model_the_later_steps_are_skipped(store, job, seq, node):
    with pytest.raises(ExperimentError, match="2 of 2 steps.*measure SKIPPED: step train trained no model"):
        run_job(job(seq(train=node("Train", fail_at=2), measure="Measure")))
    assert {kind: run.status for kind, run in by_type(store).items()} == {"sequence": "FAILED", "toy_train": "FAILED"}


def test_an_interrupt_kills_step_and_parent(store, job, seq, node):
    with pytest.raises(KeyboardInterrupt):
        run_job(job(seq(measure="Measure", stopped=node("Fail", how="interrupt"), never="Measure")))
    assert {run.tags.get("step"): run.status for run in store.runs()} == {
        None: "KILLED", "measure": "FINISHED", "stopped": "KILLED",
    }  # fmt: skip


def test_a_sequence_and_its_steps_are_reused_by_identity(store, job, seq, node):
    first = run_job(job(seq(train="Train", measure="Measure")), sweep="s1")
    again = run_job(job(seq(train="Train", measure="Measure")), sweep="s2")
    assert again.run_id == first.run_id and len(store.runs()) == 3
    longer = run_job(job(seq(train="Train", measure="Measure", more=node("Measure", factor=3.0))), sweep="s3")
    assert len(store.runs()) == 5, "a new parent and the new step; training and the first measurement are reused"
    assert longer.tables["steps"].frame["run_id"].tolist()[:2] == first.tables["steps"].frame["run_id"].tolist()
    retrained = run_job(job(seq(train=node("Train", epochs=2), measure="Measure")), sweep="s4")
    assert len(store.runs()) == 8, "another training is another model, so its experiments are made anew"
    assert retrained.run_id != first.run_id


def test_the_model_of_a_sequence_can_be_taken_by_its_parents_id(store, job, seq):
    parent = run_job(job(seq(train="Train", measure="Measure")))
    tracked = {"_target_": "paribus.models.tracked.Tracked", "run": parent.run_id}
    result = run_job(job("Measure", model=tracked, reuse="always"))
    assert result.run_id == parent.tables["steps"].frame["run_id"].tolist()[1]


def test_without_tracking_the_model_goes_through_the_folder(workdir, job, seq):
    off = {"kind": "off"}
    result = run_job(job(seq(train="Train", measure="Measure"), tracking=off), output_dir=Path("out"))
    plain = run_job(job("Measure", tracking=off), output_dir=Path("other")).aggregates.mean_delta
    assert result.metrics["measure.mean"] == pytest.approx(plain * 6)
    assert Path("out/train/checkpoints/checkpoint_e00002.pt").exists() and not Path("mlruns").exists()


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({"Bad": {"_target_": "paribus_toy.Measure"}}, "must be named by"),
        ({"a": {"_target_": "paribus_toy.ToyData"}}, "must be an experiment, got ToyData"),
        ({"a": 3}, "must be an experiment, got int"),
        ({"a": {"_target_": "paribus.running.sequence.Sequence", "steps": {}}}, "must be an experiment, got Sequence"),
    ],
)
def test_steps_must_be_experiments_with_plain_names(job, seq, steps, message):
    with pytest.raises(ConfigError, match=message):
        job(seq(**steps))


def test_a_sequence_without_steps_or_with_an_odd_comparison_is_refused(store, job, seq, node):
    with pytest.raises(ConfigError, match="steps: is empty"):
        run_job(job(seq()))
    with pytest.raises(ConfigError, match="must be an experiment on runs"):
        job(seq(measure="Measure", comparison=node("Measure")))
    assert store.runs() == []


def test_a_sweep_ends_with_the_comparison_of_what_finished(store, job, seq, node, capsys):
    steps = {"train": "Train", "measure": "Measure"}
    jobs = [job(seq(comparison=node("Compare"), **steps), seed=seed) for seed in range(2)]
    jobs.append(job(seq(comparison=node("Compare"), bad="Fail", **steps), seed=2))
    ended = [outcome(run_job(each, sweep="s1")) for each in jobs[:2]]
    with pytest.raises(ExperimentError):
        run_job(jobs[2], sweep="s1")
    ended.append(Outcome(FAILED, (), "s1"))
    (result,) = sweep_end.finish(jobs, "s1", output_dir=Path("swept"), ended=ended)
    runs = result.tables["runs"].frame
    assert sorted(runs["type"].unique()) == ["toy_fail", "toy_measure", "toy_train"]
    assert runs.loc[runs["type"] == "toy_measure", ["seed", "n_train"]].to_numpy().tolist() == [
        [0, 10],
        [1, 10],
        [2, 10],
    ]
    assert runs["condition"].dropna().unique().tolist() == ["grokking"]
    shown = capsys.readouterr().out
    assert "3 jobs: 1 FAILED, 2 FINISHED" in shown and "3 means compared" in shown and "paribus ui" in shown
    kept = by_type(store)["toy_compare"]
    assert kept.status == "FINISHED" and kept.tags["sweep"] == "s1" and Path("swept/comparison/report.html").exists()
    ended = [outcome(run_job(each, sweep="s2")) for each in jobs[:2]]
    again = sweep_end.finish(jobs[:2], "s2", output_dir=Path("swept2"), ended=ended)[0]
    shown = capsys.readouterr().out
    assert "2 jobs: 2 reused" in shown and "2 means compared" in shown, "the job that failed in s1 is none of s2"
    once_more = sweep_end.finish(jobs[:2], "s2", output_dir=Path("swept3"), ended=ended)[0]
    assert once_more.run_id == again.run_id, "the same runs give the same comparison"


def test_a_sweeps_comparison_is_made_from_its_own_jobs_reused_ones_included(store, job, seq, node):
    def study(seed, epochs):
        steps = {"train": node("Train", epochs=epochs), "measure": "Measure"}
        return job(seq(comparison=node("Compare"), **steps), seed=seed)

    for earlier in (study(0, 3), study(1, 3), study(0, 2), study(7, 2)):
        run_job(earlier, sweep="before")
    run_job(job("Measure", seed=9))
    mine = [study(seed, 3) for seed in (0, 1, 2)]
    ended = [outcome(run_job(each, sweep="now")) for each in mine]
    (result,) = sweep_end.finish(mine, "now", output_dir=Path("swept"), ended=ended)
    runs = result.tables["runs"].frame
    assert sorted(runs.loc[runs["type"] == "toy_measure", "seed"]) == [0, 1, 2]
    assert len(runs) == 6, "a training and a measurement of each of the three jobs"


def test_an_interrupted_sweep_leaves_no_run_running_and_compares_nothing(store, job, seq, node, capsys):
    store.start("left", folder=Path("x"), tags={"sweep": "s1"})._heartbeat.stop()
    assert sweep_end.finish([job(seq(comparison=node("Compare"), measure="Measure"))], "s1", interrupted=True) == []
    assert [run.status for run in store.runs()] == ["KILLED"] and capsys.readouterr().out == ""


def test_a_failing_comparison_is_said_in_the_end(store, job, seq, node):
    study = job(seq(comparison=node("Compare", fail=True), measure="Measure"))
    run_job(study, sweep="s1")
    with pytest.raises(ExperimentError, match="toy_compare: ValueError: nothing to compare"):
        sweep_end.finish([study], "s1")
    assert by_type(store)["toy_compare"].status == "FAILED"


def test_a_sweep_without_comparison_just_counts(store, job, capsys):
    jobs = [job("Measure", seed=seed) for seed in range(2)]
    ended = [outcome(run_job(each, sweep="s1")) for each in jobs]
    assert sweep_end.finish(jobs, "s1", ended=ended) == [] and "2 jobs: 2 FINISHED" in capsys.readouterr().out
    ended = [outcome(run_job(each, sweep="s2")) for each in [jobs[0], job("Measure", seed=7)]]
    assert sweep_end.finish(jobs, "s2", ended=ended) == []
    assert "2 jobs: 1 FINISHED, 1 reused" in capsys.readouterr().out


def test_params_of_a_step_name_what_the_step_works_with_and_nothing_else(store, job, seq, node):
    """A filter such as ``params.feature = 'dose'`` must not find runs that never looked at a feature."""
    feature = {"_target_": "paribus.features.latent.Latent", "id": 4}
    run_job(job(seq(train="Train", alone=node("Measure", factor=2.0)), feature=feature))
    runs = by_type(store)
    for run in runs.values():
        assert not [name for name in run.params if name.startswith("feature")]
    assert runs["toy_train"].params["training.condition"] == "grokking"
    run_job(job("Measure", feature=feature, training={"_target_": "paribus.training.spec.TrainingSpec"}))
    untrained = store.runs()[0].params  # built anew: no training made it
    assert not [name for name in untrained if name.startswith(("training", "feature"))]
    config = store.download(store.runs()[0].run_id, "config.yaml").read_text()
    assert "training:" in config and "feature:" in config


def test_a_step_that_is_switched_off_is_left_out(store, job, seq, node):
    study = seq(train="Train", measure=node("Measure"), other=None)
    result = run_job(job(study), output_dir=Path("out"))
    assert result.success and result.tables["steps"].frame["step"].tolist() == ["train", "measure"]
