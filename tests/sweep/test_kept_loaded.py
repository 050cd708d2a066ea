"""What a job has loaded stays loaded for the next one of its worker, within a bound, and only as long as it is true."""

from __future__ import annotations

import os
import signal
from functools import wraps
from pathlib import Path

import numpy as np
import pytest
import torch

from paribus.config._compatibility import Loader
from paribus.config.locate import conf_dir
from paribus.engine.cache import FeatureCache
from paribus.models.mlp import MLP
from paribus.running import caches, workspace
from paribus.running.caches import Latest, array_bytes
from paribus.subjects.tables.table import Table
from paribus.sweep.task import Surroundings
from paribus.sweep.workers.worker import Order, Start, context_of, done
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec

DATA = [
    "data=table", "data.path=hospitals.csv", "data.label=sick", "data.domain=hospital", "data.cluster=patient",
    "data.val_domain=east", "data.ood_domain=west", "stats=quick", "tracking.experiment=kept",
]  # fmt: skip
NETWORK = ["model=mlp", "model.widths=[4]", "model.weights=weights.pt"]
ABLATE = [
    "experiment=ablate",
    "factor@experiment.factor=units",
    "experiment.readout=margin",
    "experiment.place=hidden1",
]


@pytest.fixture
def worker(tracked_workdir, planted_hospitals, undrawn_figures):
    """Run jobs one after the other in this process, as a worker does; each returns its table of effects."""
    planted_hospitals.write_hospitals(Path("hospitals.csv"))
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    master = Loader(conf_dir(), []).compose([*DATA, *ABLATE, *NETWORK, "hydra.sweep.dir=out"], multirun=True)
    around = Surroundings("s", os.getpid(), False, (), Path.cwd())
    start = Start(master, conf_dir(), around)
    context, store, numbers = context_of(start), open_store(TrackingSpec(experiment="kept")), iter(range(99))

    def run(*words):
        ended = done(Order(next(numbers), (*DATA, *words), waits=True), start, context)
        assert ended.status == "done", ended.message
        tables = store.result(ended.run_id).tables
        return tables["effects"].frame if "effects" in tables else None

    caches.clear()
    yield run
    caches.clear()
    for number, handler in before:
        signal.signal(number, handler)


@pytest.fixture
def loads(monkeypatch):
    """What was read, made and computed, counted since the last look."""
    counts = dict.fromkeys(("data", "network", "weights", "features"), 0)

    def count(cls, name, kind):
        original = getattr(cls, name)

        @wraps(original)
        def counted(*args, **given):
            counts[kind] += 1
            return original(*args, **given)

        monkeypatch.setattr(cls, name, counted)

    count(Table, "load", "data")
    count(MLP, "build", "network")
    count(FeatureCache, "put", "features")
    count(workspace, "read_state", "weights")
    monkeypatch.setattr("paribus.running.source.read_state", workspace.read_state)

    def since():
        seen = dict(counts)
        counts.update(dict.fromkeys(counts, 0))
        return seen

    return since


def effects(result):
    return result.tables["effects"].frame


def keep_network(seed=0):
    """Write the weights of the network."""
    made = MLP(widths=[4]).build(n_features=5, n_classes=2, generator=torch.Generator().manual_seed(seed))
    torch.save(made.state_dict(), "new.pt")
    os.replace("new.pt", "weights.pt")


def test_data_network_and_features_are_loaded_once_for_the_jobs_of_a_worker(worker, loads):
    keep_network(), loads()
    first = worker(*ABLATE, *NETWORK)
    assert loads() == {"data": 1, "network": 1, "weights": 0, "features": 2}
    worker(*ABLATE, *NETWORK, "experiment.readout=loss")
    assert not any(loads().values()), "nothing of it is read or computed again"
    found = worker(*ABLATE, *NETWORK, "seed=5")
    assert loads() == {"data": 1, "network": 0, "weights": 0, "features": 2}, "the seed draws the splits"
    caches.clear()
    assert worker(*ABLATE, *NETWORK, "seed=5", "reuse=never").equals(found) and not found.equals(first)


def test_a_file_that_changed_is_read_again(worker, loads):
    keep_network(), loads()
    found = [worker(*ABLATE, *NETWORK)]
    keep_network(seed=1), loads()
    found.append(worker(*ABLATE, *NETWORK))
    assert loads() == {"data": 0, "network": 1, "weights": 0, "features": 2}
    text = Path("hospitals.csv").read_text()
    Path("hospitals.csv").write_text(text.replace("yes", "ill"))
    found.append(worker(*ABLATE, *NETWORK))
    assert loads()["data"] == 1
    assert not found[0].equals(found[1])


def test_weights_of_a_kept_training_are_read_once(worker, loads):
    few = ["training.epochs=2", "training.n_checkpoints=1", "training.n_evaluations=1"]
    worker("experiment=train_classifier", "model=mlp", "model.widths=[4]", *few)
    loads()
    kept = ["model=tracked", "model.run=latest", "checkpoint=final"]
    first = worker(*ABLATE, *kept)
    assert loads()["weights"] == 1
    worker(*ABLATE, *kept, "experiment.readout=loss")
    assert loads() == {"data": 0, "network": 1, "weights": 0, "features": 0}, (
        "a training has changed it: it is made anew"
    )
    caches.clear()
    assert worker(*ABLATE, *kept, "reuse=never").equals(first)


def held(cache):
    """Return the bytes of all that a cache keeps."""
    return sum(array_bytes(value) for value in cache.values().values())


def test_what_is_kept_is_bounded():
    kept, made = Latest(3, limit=100), []

    def of(name, values):
        return kept.get(name, lambda: made.append(name) or {"x": np.zeros(values), "y": [torch.zeros(2)]})

    assert array_bytes(of("a", 5)) == 48 and held(kept) == 48
    of("b", 5), of("a", 5)
    assert made == ["a", "b"] and held(kept) == 96
    of("c", 5)
    assert set(kept.values()) == {"a", "c"} and held(kept) == 96, "the one that was used longest ago goes"
    of("large", 50)
    assert held(kept) == 408 and list(kept.values()) == ["large"], "the latest stays, however large"
    of("large", 50)
    assert made[-1] == "large" and made.count("large") == 1
    kept.get("next", lambda: made.append(held(kept)) or {})
    assert made[-1] == 0, "and goes before another one is made"
