"""Launchers of others run the same jobs: each in a folder of its own, under its own number, with the same policy."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from paribus.sweep import outcome as outcomes

JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"]
SUBMITIT = ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"]
LAUNCHERS = pytest.mark.parametrize("launcher", [JOBLIB, SUBMITIT], ids=["joblib", "submitit"])


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
    """Submitit submits all jobs at once; they look by the same means when they begin."""
    installed(JOBLIB)
    process = start("-m", "seed=1,2,3", "experiment.do=raise", "sweep.on_error=stop", *JOBLIB)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    begun = [line for line in Path(tmp_path / "log").read_text().splitlines() if line.startswith("start")]
    assert len(begun) == 1 and "2 not started: a job failed, and sweep.on_error=stop" in err
