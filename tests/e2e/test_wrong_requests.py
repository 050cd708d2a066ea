"""Wrong requests through the real command line: one clear line, exit code 2, nothing run, nothing left behind."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.wrong_requests.files import make_files
from benchmarks.wrong_requests.generated import GENERATORS
from benchmarks.wrong_requests.trial import ask, problems
from benchmarks.wrong_requests.written import REQUESTS

from paribus.cli.main import main

OF_EACH_KIND = 5
"""Requests drawn from each generator; ``python -m benchmarks.wrong_requests`` makes all of them."""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Damaged and unfit files."""
    return make_files(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("name", REQUESTS)
def test_a_wrong_request_gets_one_line_and_leaves_nothing(name, files, tmp_path, monkeypatch, capfd):
    request = REQUESTS[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    words = [word.replace("{files}", str(files)) for word in request.words]
    code = main([*(["-m"] if request.multirun else []), *words])
    out, err = capfd.readouterr()
    assert code == 2, err
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("paribus: ")
    for part in request.parts:
        assert part in line
    assert "Traceback" not in line and len(line) < 700
    assert list(tmp_path.iterdir()) == []
    assert not (files / "code_ran").exists()


@pytest.mark.parametrize("kind", GENERATORS)
def test_generated_requests_get_one_line_and_leave_nothing(kind, files):
    requests = list(GENERATORS[kind]())
    assert len(requests) == len(set(requests)) >= 40, "the generator makes few, or the same twice"
    for request in random.Random(f"{kind} 1").sample(requests, OF_EACH_KIND):
        assert not problems(request, ask(request, files)), request


def test_there_are_at_least_forty_kinds():
    assert len(REQUESTS) >= 40
    assert len({request.words for request in REQUESTS.values()}) == len(REQUESTS)


@pytest.mark.parametrize("name", ["unknown experiment", "key smuggled into a group", "wrong only in the last job"])
def test_the_same_in_a_process_of_its_own(name, tmp_path):
    request = REQUESTS[name]
    words = [*(["-m"] if request.multirun else []), *request.words]
    done = subprocess.run([sys.executable, "-m", "paribus", *words], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    for part in request.parts:
        assert part in line
    assert list(tmp_path.iterdir()) == []
