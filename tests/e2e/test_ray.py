"""A sweep on a Ray cluster of two nodes of this machine, where Ray is installed: no group that CI installs has it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from paribus.cli.main import main
from paribus.sweep.signals import EXIT_INTERRUPTED
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


def test_a_job_that_fits_no_node_is_said_to_wait_and_sigterm_ends_the_sweep(tracked_workdir, cluster):
    """Ray takes SIGTERM for itself and aborts; it queues without end what asks for more than any node has."""
    words = [*TINY, "seed=range(2)", "hydra/launcher=ray", f"+hydra.launcher.init.address={cluster.address!r}"]
    command = [sys.executable, "-m", "paribus", "-m", *words, "hydra.launcher.remote.num_cpus=2"]
    said = tracked_workdir / "said"
    with said.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        end = time.monotonic() + 120
        while "no node of the Ray cluster has room for a job (CPU 2)" not in said.read_text():
            assert process.poll() is None and time.monotonic() < end, said.read_text()
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == EXIT_INTERRUPTED, said.read_text()


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("+hydra.launcher.init.addres=auto", "hydra.launcher.init.addres: ray.init has no such argument"),
        ("hydra.launcher.remote.num_cpus=-1", "hydra.launcher.remote: "),
        ("+hydra.launcher.remote.num_gpu=1", "hydra.launcher.remote: "),
    ],
)
def test_what_ray_does_not_know_is_refused_before_anything_starts(workdir, capsys, word, says):
    pytest.importorskip("ray")
    assert main(["-m", *TINY, "seed=range(2)", "hydra/launcher=ray", word]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line and not [*workdir.rglob("*")]
