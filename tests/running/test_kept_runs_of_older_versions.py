"""A run that an earlier version kept: its model is still taken, its identity is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import paribus
from paribus.config import aliases, catalogue, locate
from paribus.config.check import build, node_of
from paribus.spec import Spec
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec

KEPT = Path(__file__).with_name("kept_run_of_version_1")
PLACES = frozenset(Path(__file__).with_name("stored_places.txt").read_text().split()) | set(aliases.MOVED)
"""Every place that runs may name; a new class gets a line in the file, and none is ever taken out."""


@pytest.fixture
def kept_run(tracked_workdir):
    """The run in a store of today, with the tags and files it had."""
    store = open_store(TrackingSpec(experiment="old"))
    tags = json.loads((KEPT / "tags.json").read_text())
    run = store.client.create_run(store.experiment_id(), tags=tags, run_name="train_classifier standard s0")
    result = {**json.loads((KEPT / "result.json").read_text()), "run_id": run.info.run_id}
    store.client.log_text(run.info.run_id, json.dumps(result), "result.json")
    store.client.log_artifacts(run.info.run_id, str(KEPT / "checkpoints"), "checkpoints")
    store.client.set_terminated(run.info.run_id, "FINISHED")
    return run.info.run_id


def test_a_model_that_an_earlier_version_trained_is_taken_with_its_numbers(kept_run):
    words = ["experiment=subspace_ablation", "model=tracked", f"model.run={kept_run}", "checkpoint=final"]
    result = paribus.run([*words, "stats=quick", "stats.n_null=2", "device=cpu", "tracking.experiment=old"])
    assert result.success and result.provenance["model_run"] == kept_run
    kept = json.loads((KEPT / "result.json").read_text())
    assert result.provenance["data_digest"] == kept["provenance"]["data_digest"], "measured on its own data"
    assert result.metrics["head_ood_acc_raw"] == kept["metrics"]["ood_acc"]


def test_every_place_that_runs_hold_leads_to_a_class():
    for stored in PLACES:
        assert issubclass(locate.target_object(stored, "here"), Spec), stored


def test_every_shipped_class_is_in_the_table():
    targets = {option.target for group in catalogue.groups() for option in catalogue.options(group) if option.target}
    assert targets <= PLACES | set(aliases.MOVED.values())


def test_a_training_on_the_spot_is_kept_by_a_place_of_the_table():
    made = [cls for cls in (option.load() for option in catalogue.options("experiment")) if cls.produces_model]
    written = {node_of(cls())["_target_"] for cls in made}
    assert len(written) >= 4 and written <= PLACES


def test_a_class_that_moved_is_found_by_its_old_place(monkeypatch):
    old = "paribus.attic.small_cnn.SmallCNN"
    monkeypatch.setattr(aliases, "MOVED", {**aliases.MOVED, old: "paribus.models.small_cnn.SmallCNN"})
    made = build({"_target_": old, "width": 3}, "model")
    assert made == build({"_target_": "paribus.models.small_cnn.SmallCNN", "width": 3}, "model")
