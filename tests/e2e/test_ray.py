"""A sweep on a Ray cluster of two nodes of this machine, where Ray is installed: no group that CI installs has it."""

from __future__ import annotations

from collections import Counter

import pytest

from paribus.cli.main import main
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.states import run_states

TINY = [
    "experiment=family_1d_sweep", "experiment.family=SCU", "feature=threshold", "model=planted", "data.n_builds=40",
    "stats=quick", "experiment.placebo_contexts=20", "tracking.experiment=ray",
]  # fmt: skip


@pytest.fixture
def cluster(monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray is an optional extra: pip install 'paribus[ray]'")
    utils = pytest.importorskip("ray.cluster_utils")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()


def test_a_sweep_on_two_nodes(tracked_workdir, cluster, capsys):
    words = [*TINY, "seed=range(3)", "hydra/launcher=ray", f"+hydra.launcher.init.address={cluster.address!r}"]
    assert main(["-m", *words]) == 0, capsys.readouterr().err
    runs = run_states(TrackingSpec(experiment="ray"))
    assert Counter(run.status for run in runs) == {"FINISHED": 3} and len({run.identity for run in runs}) == 3
    assert sorted(path.parent.name for path in tracked_workdir.rglob("outcome.json")) == ["0", "1", "2"]
    assert main(["-m", *words]) == 0 and "3 of 3 jobs are done already" in capsys.readouterr().out
