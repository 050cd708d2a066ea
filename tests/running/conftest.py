"""Jobs on the toy subject, made without Hydra."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from paribus.config.check import build
from paribus.config.job import GROUPS, Job
from paribus.experiments import plugins
from paribus.running import caches

_spec = importlib.util.spec_from_file_location("paribus_toy", Path(__file__).with_name("toy_subject.py"))
if "paribus_toy" not in sys.modules:
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["paribus_toy"] = _module
    _spec.loader.exec_module(_module)
import paribus_toy  # noqa: E402

plugins.register(paribus_toy.ToySubject())

BASE = {
    "data": {"_target_": "paribus_toy.ToyData", "seed": 0, "n_train": 10, "broken": False},
    "model": {"_target_": "paribus_toy.ToyModel", "width": 2},
    "training": {"_target_": "paribus.training.spec.TrainingSpec", "condition": "grokking"},
    "device": {"_target_": "paribus.engine.device.DeviceSpec", "name": "cpu"},
    "stats": {"_target_": "paribus.stats.spec.StatsSpec"},
    "tracking": {"_target_": "paribus.tracking.spec.TrackingSpec", "kind": "local", "experiment": "toys"},
}


def toy_job(experiment, *, seed=0, reuse="auto", checkpoint="peak_val", study=None, **groups):
    """Return a job: the name of a toy or a node, and changes of groups (a dict is merged, None empties)."""
    tree = {"seed": seed, "checkpoint": checkpoint, "reuse": reuse, "dry_run": False}
    for group in GROUPS:
        node = {**BASE[group]} if group in BASE else None
        change = groups.get(group, {})
        if group == "experiment":
            node = {"_target_": f"paribus_toy.{experiment}"} if isinstance(experiment, str) else dict(experiment)
        if change is None:
            node = None
        elif "_target_" in change:
            node = dict(change)
        elif change:
            node = {**node, **change}
        tree[group] = node
    if tree["data"] is not None and "seed" in tree["data"]:
        tree["data"]["seed"] = seed
    nodes = {group: build(tree[group], group) if tree[group] is not None else None for group in GROUPS}
    return Job(
        overrides=(f"experiment={getattr(nodes['experiment'], 'type', None)}", f"seed={seed}"),
        choices={"experiment": getattr(nodes["experiment"], "type", None), "model": "toy", "study": study},
        tree=tree,
        nodes=nodes,
        seed=seed,
        checkpoint=checkpoint,
        reuse=reuse,
    )


def sequence(comparison=None, **steps):
    """Return the node of a sequence of toys."""
    node = {
        "_target_": "paribus.running.sequence.Sequence",
        "steps": {
            name: {"_target_": f"paribus_toy.{step}"} if isinstance(step, str) else step for name, step in steps.items()
        },
        "comparison": comparison,
    }
    return node


def toy(name, **values):
    """Return the node of one toy experiment."""
    return {"_target_": f"paribus_toy.{name}", **values}


@pytest.fixture(autouse=True)
def fresh_process():
    """Forget what earlier tests of this process loaded."""
    from paribus.running import run

    caches.data_sets.clear()
    caches.models.clear()
    run._reaped.clear()
    paribus_toy.LOADED.clear()


@pytest.fixture(autouse=True)
def quick_pictures(plain_figures):
    """Draw figures, but write no picture: that takes longer than all else in a toy's run."""


@pytest.fixture
def job():
    """Make a job."""
    return toy_job


@pytest.fixture
def seq():
    """Make the node of a sequence."""
    return sequence


@pytest.fixture
def node():
    """Make the node of a toy."""
    return toy


@pytest.fixture
def store(tracked_workdir):
    """The store that the toys write to."""
    from paribus.tracking.opening import open_store
    from paribus.tracking.spec import TrackingSpec

    return open_store(TrackingSpec(experiment="toys"))
