"""What a job of a worker prints is in its own log, whoever prints it, and no log fills the disk."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from paribus.sweep.workers import printed as printing
from paribus.sweep.workers.printed import LOG, Printed, in_own_log


@pytest.fixture
def root():
    """The root logger, whose handlers are as before afterwards."""
    logger = logging.getLogger()
    before = logger.handlers[:]
    yield logger
    logger.handlers[:] = before


def test_everything_is_in_the_jobs_own_log_once_and_afterwards_where_it_was_before(tmp_path, root, capfd, monkeypatch):
    monkeypatch.setattr(sys, "stdout", open(1, "w", closefd=False))  # noqa: SIM115 - as in a worker, not as in pytest
    own, console = logging.FileHandler(tmp_path / "job.log"), logging.StreamHandler(sys.stdout)
    root.handlers[:] = [own, console]
    with in_own_log():
        print("by print")
        os.write(2, b"by a library\n")
        subprocess.run([sys.executable, "-S", "-c", "print('by a program')"], check=True)
        root.error("by the log")
    print("afterwards", flush=True)
    own.close()
    assert (tmp_path / "job.log").read_text().splitlines() == [
        "by print",
        "by a library",
        "by a program",
        "by the log",
    ]
    assert capfd.readouterr() == ("afterwards\n", "")


def test_without_a_log_of_its_own_it_is_in_the_folder_of_the_job(tmp_path, root, monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdout", open(1, "w", closefd=False))  # noqa: SIM115
    made = OmegaConf.create({"runtime": {"output_dir": str(tmp_path)}})
    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: made))
    root.handlers[:] = []
    with in_own_log():
        print("by print")
    assert (tmp_path / LOG).read_text() == "by print\n"


def test_too_much_is_cut_out_in_the_middle_and_the_log_says_how_much(tmp_path: Path, capfd, monkeypatch):
    monkeypatch.setattr(printing, "LOOK_SECONDS", 60.0)  # it is shortened here, and by one thread at a time
    path = tmp_path / "job.log"
    path.write_text("before\n")
    with Printed(path, first=1000, last=5000) as printed:
        for number in range(200_000):
            os.write(1, b"line %d\n" % number)
            if number % 50_000 == 0:
                printed.shorten()
    kept = path.read_text()
    assert len(kept) < 1000 + 3 * 5000
    assert kept.startswith("before\nline 0\n") and kept.endswith("line 199999\n")
    assert "[... 2.2 MiB of this log are not kept ...]\nline 19" in kept
