"""Launchers of others run the same jobs: each in a folder of its own, under its own number, with the same policy."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from paribus.sweep import outcome as outcomes

JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"]
SUBMITIT = ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"]
LAUNCHERS = pytest.mark.parametrize(
    "launcher", [JOBLIB, pytest.param(SUBMITIT, marks=pytest.mark.soak)], ids=["joblib", "submitit"]
)

SLURM = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=1"]
CLUSTER = {
    "sbatch": """#!/bin/sh
cp "$1" "$CLUSTER/submitted.sh"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' "$1")
export SLURM_ARRAY_JOB_ID=77 SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0
export SLURM_JOB_NODELIST=here CUDA_VISIBLE_DEVICES=5
for task in $(seq 0 "$last"); do
    SLURM_JOB_ID=77$task SLURM_ARRAY_TASK_ID=$task sh "$1" || true
done >"$CLUSTER/said" 2>&1 &
echo "Submitted batch job 77"
""",
    "srun": """#!/bin/sh
while :; do case "$1" in --output|--error) shift 2;; --*) shift;; *) break;; esac; done
exec "$@"
""",
    "sacct": """#!/bin/sh
echo "JobID|State|NodeList"
for task in 0 1 2; do echo "77_$task|RUNNING|here"; done
""",
}
"""Stands in for the programs of SLURM: the tasks of an array are run here, one after the other."""


@pytest.fixture
def cluster(tmp_path):
    """The environment of a machine of a cluster."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    for name, text in CLUSTER.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "CLUSTER": str(folder)}


def installed(launcher):
    """Skip where a launcher is not installed; what the tests of every submission install must be there."""
    name = "hydra_joblib_launcher" if launcher is JOBLIB else "hydra_submitit_launcher"
    if importlib.util.find_spec(f"hydra_plugins.{name}") is None:
        assert os.environ.get("CI") != "true", f"{name} is to be installed with the group dev"
        pytest.skip(f"{name} is not installed")


@LAUNCHERS
def test_the_jobs_keep_their_numbers_and_no_folder_is_used_twice(start, tmp_path, launcher):
    installed(launcher)
    folder = tmp_path / "work" / "out"
    (folder / "1").mkdir(parents=True)
    process = start("-m", "seed=1,2", f"hydra.sweep.dir={folder}", *launcher)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    found = {path.parent.name: outcomes.read(path.parent) for path in folder.rglob(outcomes.FILE)}
    assert set(found) == {"0", "1.2"} and {outcome.number for outcome in found.values()} == {0, 1}
    assert found["1.2"].overrides[0] == "seed=2" and not list((folder / "1").iterdir())


def test_a_failure_stops_those_that_have_not_begun(start, tmp_path):
    """Submitit submits all jobs at once; they look by the same means when they begin (below)."""
    installed(JOBLIB)
    process = start("-m", "seed=1,2,3", "experiment.do=raise", "sweep.on_error=stop", *JOBLIB)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    begun = [line for line in Path(tmp_path / "log").read_text().splitlines() if line.startswith("start")]
    assert len(begun) == 1 and "2 not started: a job failed, and sweep.on_error=stop" in err


@pytest.mark.soak
def test_slurm_gets_one_array_and_a_failure_stops_the_tasks_that_have_not_begun(start, tmp_path, cluster):
    """What is submitted, and what its tasks do: the policy of submitit's launchers, with each task in a process."""
    installed(SUBMITIT)
    sweep = ["-m", "seed=1,2", "experiment.do=raise", "sweep.on_error=stop", f"hydra.sweep.dir={tmp_path / 'out'}"]
    process = start(*sweep, *SLURM, **cluster)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 1, err
    submitted = Path(cluster["CLUSTER"], "submitted.sh").read_text()
    for flag in ("partition=gpu", "gpus-per-node=1", "array=0-1%", f"output={tmp_path / 'out'}/.submitit/"):
        assert f"#SBATCH --{flag}" in submitted, submitted
    assert "submitit.core._submit" in submitted and "hydra.launcher" not in submitted
    begun = [line.split()[1] for line in (tmp_path / "log").read_text().splitlines() if line.startswith("start")]
    assert begun == ["1"] and "1 not started: a job failed, and sweep.on_error=stop" in err
    found = {path.parent.name: outcomes.read(path.parent) for path in (tmp_path / "out").rglob(outcomes.FILE)}
    assert {name: outcome.status for name, outcome in found.items()} == {"0": "failed", "1": "not started"}
