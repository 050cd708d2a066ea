"""Sweeps with real command lines on a real store: planned, run, looked at, continued."""

from __future__ import annotations

import json
import shlex

import pytest

from paribus.cli.main import main

TINY = [
    "experiment=family_1d_sweep", "experiment.family=SCU", "feature=threshold", "model=planted", "data.n_builds=40",
    "stats=quick", "experiment.placebo_contexts=20",
]  # fmt: skip
SWEEP = ["-m", *TINY, "seed=range(3)"]


@pytest.fixture
def said(capsys):
    def run(*words: str) -> str:
        capsys.readouterr()
        assert main(list(words)) == 0
        return capsys.readouterr().out

    return run


def test_a_plan_writes_nothing_and_its_commands_run_by_themselves(tracked_workdir, said, plain_figures):
    before = sorted(tracked_workdir.rglob("*"))
    out = said("plan", *SWEEP)
    assert out.startswith("3 jobs: experiment=family_1d_sweep") and "varies: seed (3)" in out and "3 to do" in out
    assert sorted(tracked_workdir.rglob("*")) == before
    lines = said("plan", *SWEEP, "workers=2", "sweep.retry=failed", "--commands").splitlines()
    assert len(lines) == 3 and all("workers" not in line and "retry" not in line for line in lines)
    program, *words = shlex.split(lines[1])
    assert program == "paribus" and words[-2:] == ["seed=1", "reuse=always"]
    said(*words)
    made = json.loads(said("plan", *SWEEP, "--json"))
    assert [job["state"] for job in made["jobs"]] == ["to do", "finished", "to do"] and made["to_run"] == 2
    assert made["counts"] == {"finished": 1, "to do": 2} and made["seconds"] > 0
    said(*words)  # found and reused
    assert said("plan", *SWEEP, "--commands", "--todo").count("\n") == 2
    assert len(json.loads(said("plan", *SWEEP, "--json"))["jobs"]) == 3


def test_wrong_plans_are_refused_in_one_line(tracked_workdir, capsys):
    for words in (
        ["-m", "seed=1,2"],
        [*SWEEP, "experiment.famly=x"],
        [*SWEEP, "--json", "--commands"],
        ["--cfg", "job"],
    ):
        assert main(["plan", *words]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
