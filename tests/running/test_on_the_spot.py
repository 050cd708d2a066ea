"""Models that are made from models, and models that are trained where they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import paribus_toy
import pytest

from paribus.errors import ConfigError, ExperimentError
from paribus.running.on_the_spot import experiment_named
from paribus.running.run import run_job
from paribus.running.validate import validate

TRACKED = {"_target_": "paribus.models.tracked.Tracked", "run": "latest"}
SPOT = {"_target_": "paribus_toy.SpotModel", "width": 2}


def types(store):
    return [run.experiment_type for run in reversed(store.runs())]


def test_a_model_made_from_a_model_is_taken_on(store, job, seq):
    plain = run_job(job("Measure")).aggregates.mean_delta
    result = run_job(job(seq(train="Train", refine="Refine", measure="Measure")))
    assert result.metrics["measure.mean"] == pytest.approx(plain * 60), "weights 3 and 3, ten times"
    later = run_job(job("Measure", model=TRACKED))
    assert later.aggregates.mean_delta == pytest.approx(plain * 60), "the latest model is the refined one"
    refine = result.tables["steps"].frame["run_id"].tolist()[1]
    assert later.config["model"] == {**TRACKED, "run": refine}, "it says which one the latest was"
    refined = run_job(job("Refine", model=TRACKED))
    assert run_job(job("Measure", model={**TRACKED, "run": refined.run_id})).aggregates.mean_delta == pytest.approx(
        plain * 600
    )


def test_a_refinement_without_a_model_is_refused_or_fails_and_the_rest_is_skipped(store, job, seq, node):
    steps = seq(train=node("Train", fail_at=1), refine="Refine", measure="Measure")
    with pytest.raises(ExperimentError, match="refine SKIPPED.*measure SKIPPED"):
        run_job(job(steps))


def test_a_model_is_trained_where_it_is_needed_and_reused_from_then_on(store, job, node):
    plain = run_job(job("Measure")).aggregates.mean_delta
    asked = job("Measure", model=SPOT)
    validate(asked)
    first = run_job(asked, output_dir=Path("out"))
    assert first.aggregates.mean_delta == pytest.approx(plain * 60)
    assert types(store) == ["toy_measure", "toy_train", "toy_refine", "toy_measure"]
    run_job(job(node("Measure", factor=2.0), model=SPOT))
    assert types(store)[4:] == ["toy_measure"], "the same model is not trained twice"
    again = run_job(job("Measure", model=SPOT, reuse="always"))
    assert again.run_id == first.run_id
    run_job(job("Measure", model=SPOT, seed=1))
    assert types(store)[5:] == ["toy_train", "toy_refine", "toy_measure"]


def test_the_trainings_themselves_take_only_what_comes_before_them(store, job):
    run_job(job("Refine", model=SPOT))
    assert types(store) == ["toy_train", "toy_refine"]
    run_job(job("Train", model=SPOT))
    assert types(store) == ["toy_train", "toy_refine", "toy_train"]


def test_a_model_with_a_file_is_not_trained(store, job):
    run_job(job("Measure", model={**SPOT, "weights": "w.pt"}))
    assert types(store) == ["toy_measure"]


def test_a_failing_training_fails_before_the_experiment_begins(store, job, monkeypatch):
    @dataclass(frozen=True)
    class Broken(paribus_toy.Toy):
        type: ClassVar[str] = "toy_train"
        produces_model: ClassVar[bool] = True

        def run(self, setup, recorder):
            raise ValueError("no luck")

    monkeypatch.setattr("paribus.running.on_the_spot.experiment_named", lambda name: Broken())
    with pytest.raises(ExperimentError, match="no luck"):
        run_job(job("Measure", model=SPOT))
    assert {run.experiment_type: run.status for run in store.runs()} == {"toy_train": "FAILED"}


def test_an_experiment_type_is_found_by_its_name():
    assert experiment_named("train_classifier").type == "train_classifier"
    with pytest.raises(ConfigError, match="no experiment type"):
        experiment_named("no_such_thing")
