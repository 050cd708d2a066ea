"""A team's store: a real tracking server over a real PostgreSQL server, one of each for all tests."""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter

import pytest
from benchmarks.servers import Gate, postgres, programs, serving

from benchmarks import claims
from paribus.cli.main import main
from paribus.tracking import login
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec

TINY = [
    "experiment=family_1d_sweep", "experiment.family=SCU", "feature=threshold", "model=planted", "data.n_builds=40",
    "stats=quick", "experiment.placebo_contexts=20",
]  # fmt: skip


@pytest.fixture(scope="module")
def postgres_server():
    """A PostgreSQL server with an empty database."""
    if programs() is None:
        missing = "PostgreSQL's server is not installed: apt-get install postgresql"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    with postgres() as uri:
        yield uri


@pytest.fixture(scope="module")
def server(postgres_server):
    """A tracking server over it."""
    with serving(postgres_server) as made:
        yield made


@pytest.fixture
def gate(server):
    """The server behind a gate that can be shut."""
    made = Gate(server.port)
    yield made
    made.shut()


def spec(address, experiment):
    return TrackingSpec(kind="server", uri=address.uri, experiment=experiment)


def words(address, experiment, *more):
    return [*TINY, "tracking=server", f"tracking.uri={address.uri}", f"tracking.experiment={experiment}", *more]


@pytest.fixture
def said(capsys):
    def run(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(list(words)) == code
        return capsys.readouterr().out

    return run


def test_a_sweep_on_a_server_is_planned_run_reused_and_looked_at(server, workdir, said, undrawn_figures, monkeypatch):
    """Asked for by an address with a password in it, which is written nowhere: not by Hydra, and not in the store."""
    monkeypatch.setenv(login.VARIABLE, "")
    password = uuid.uuid4().hex
    sweep = ["-m", *words(server, "together", "seed=range(2)")]
    sweep[sweep.index(f"tracking.uri={server.uri}")] = f"tracking.uri={server.uri.replace('//', f'//me:{password}@')}"
    at = ["tracking=server", f"tracking.uri={server.uri}"]
    assert "2 to do" in said("plan", *sweep)
    assert password not in said("plan", *sweep, "--commands") + said(*sweep)
    assert "2 of 2 jobs are done already and reused" in said(*sweep)
    made = json.loads(said("status", "--json", *at))
    assert made["counts"] == {"finished": 2} and made["reused"] == 2
    out = said("runs", *at)
    assert out.count("FINISHED") == 2 and "claims" not in out and "ledger" not in out
    assert not (workdir / "mlflow.db").exists() and not (workdir / "mlruns").exists()
    found = open_store(spec(server, "together")).runs()
    assert "family_1d_sweep" in said("show", found[0].run_id[:8], *at)
    assert Counter(run.status for run in found) == {"FINISHED": 2}
    assert all(open_store(spec(server, "together")).complete(run.run_id).success for run in found)
    assert password not in repr(found) and login.put_back(server.uri).endswith(server.uri.partition("//")[2])
    files = [path for path in workdir.rglob("*") if path.is_file()]
    assert any(path.parts[-2:] == (".hydra", "config.yaml") for path in files)
    assert [str(path) for path in files if password.encode() in path.read_bytes()] == []


def test_many_processes_measure_once_on_a_server(server, workdir):
    """8 processes and 50 rounds: ``python -m benchmarks.claims``."""
    found, _ = claims.measure(spec(server, "claimed"), processes=3, rounds=4)
    assert found == {claims.identity(number): 1 for number in range(4)}


@pytest.mark.soak
def test_a_server_that_goes_away_in_a_sweep_costs_no_job_and_everything_arrives_once(
    gate, workdir, said, capsys, undrawn_figures
):
    """The gate is shut in the middle of the second of three jobs."""
    sweep = ["-m", *words(gate, "cut off", "seed=range(3)")]
    begun = []
    with open_store(spec(gate, "cut off")).claim(claims.identity(0), lambda: None):
        pass  # the ledger is there

    def meet(number, line):
        begun.append(line.endswith("/runs/create"))
        if sum(begun) == 3 and line.endswith("/log-batch"):  # the sweep's own run, and the second job
            gate.shut()

    gate.meet = meet
    assert main(sweep) == 0, "every job is finished, and a sweep without a comparison lacks nothing but the delivery"
    told = capsys.readouterr()
    assert "3 jobs: 3 FINISHED" in told.out and "paribus sync" in told.out + told.err
    assert main(["runs", "tracking=server", f"tracking.uri={gate.uri}"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["sync"]) == 2 and "no answer" in capsys.readouterr().err
    gate.meet = lambda number, line: None
    gate.open()
    assert "2 runs delivered" in said("sync")
    assert said("sync") == "Nothing waits to be delivered.\n"
    found = open_store(spec(gate, "cut off")).runs()
    assert Counter(run.status for run in found) == {"FINISHED": 3} and len({run.tags["identity"] for run in found}) == 3
    assert "3 of 3 jobs are done already and reused" in said(*sweep)
