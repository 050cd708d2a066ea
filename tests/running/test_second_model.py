"""A run on two trained models: the second is looked up, read safely, part of the identity, kept and told."""

from __future__ import annotations

import pytest

import paribus
from paribus.config import jobs
from paribus.errors import ConfigError
from paribus.results.difference import SAME
from paribus.running.identify import identify
from paribus.running.reproduce import reproduce
from paribus.running.request import from_job
from paribus.running.resolve import resolve
from paribus.running.validate import validate
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec

pytestmark = pytest.mark.usefixtures("undrawn_figures")
QUICK = ["stats=quick"]
SMALL = [
    *("data.n_train=150", "data.n_eval=60", "data.eval_renderings=1"),
    "training.epochs=1",
    "training.n_checkpoints=1",
]
SAE = ["experiment=train_sae", "experiment.n_features=24", "experiment.steps=20", "experiment.n_evaluations=1"]
MATCH = ["experiment=match_features", "experiment.n_random=5", "experiment.least_fired=2", *QUICK]


def run(*words):
    return paribus.run([*words])


def autoencoders(*seeds):
    """Return the runs of autoencoders of some seeds, trained on one classifier."""
    trained = run("experiment=train_classifier", *SMALL, *QUICK)
    taken = ["model=tracked", f"model.run='{trained.run_id}'", "experiment.n_vectors=400"]
    return trained, [run(*SAE, *taken, f"seed={seed}").run_id for seed in seeds]


def match(first, second, *words):
    return run(*MATCH, "model=tracked", f"model.run='{first}'", f"experiment.other_run='{second[:8]}'", *words)


def test_two_seeds_of_an_autoencoder(tracked_workdir):
    trained, (one, other) = autoencoders(0, 1)
    found = match(one, other)
    store = open_store(TrackingSpec(kind="local"))
    kept = store.get(found.run_id)
    assert set(found.tables["matches"].frame["way"]) == {"activation", "decoder"}, "one network: channels are shared"
    assert kept.tags["beside_run"] == other and kept.tags["model_run"] == one
    assert kept.params["experiment.other_run"] == other, "the whole id, however it was named"
    assert found.provenance["beside"]["model_run"] == other and f"run {other[:8]}" in found.aggregates.custom["second"]
    assert match(one, other, "reuse=always").run_id == found.run_id
    words = [*MATCH, "model=tracked", f"model.run='{one}'"]
    (job,) = jobs([*words, f"experiment.other_run='{one}'"])
    assert identify(resolve(from_job(job), store)) != kept.identity, "the second model is part of the identity"
    again = reproduce(store, kept, tracked_workdir / "again")
    assert again.compared and {each.verdict for each in again.compared} == {SAME}, again.counts()
    for second, said in (("latest", "name the run of the second model by its id"), ("ffffffff", "no such run"),
                         (trained.run_id, "the second model has no autoencoder")):  # fmt: skip
        (job,) = jobs([*words, f"experiment.other_run='{second}'"])
        with pytest.raises(ConfigError, match=said):
            validate(job)
