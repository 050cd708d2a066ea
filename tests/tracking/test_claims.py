"""One of several processes measures; the others wait, also when it is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from paribus.tracking.claims import FILE, FileClaims

ONE, OTHER = "a" * 32, "b" * 32
HOLDER = """
import sys, time
from pathlib import Path
from paribus.tracking.claims import FileClaims
with FileClaims.of(Path(sys.argv[1])).hold(sys.argv[2], lambda: print("busy", flush=True)):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Start a process that holds a claim until it is told to let go."""
    started = []

    def start(identity=ONE):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path), identity],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_claim_is_held_by_one_process(tmp_path, holder):
    first = holder()
    assert first.stdout.readline() == "held\n"
    claims = FileClaims.of(tmp_path)
    assert not claims.take(ONE)
    assert claims.take(OTHER)
    claims.release(OTHER)
    second = holder()
    assert second.stdout.readline() == "busy\n"
    first.stdin.write("\n")
    first.stdin.flush()
    assert second.stdout.readline() == "held\n"


def test_a_killed_process_holds_nothing(tmp_path, holder):
    process = holder()
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    told = []
    with FileClaims.of(tmp_path).hold(ONE, lambda: told.append(True)):
        assert not told


def test_a_thread_may_take_its_own_again_and_another_waits(tmp_path):
    claims = FileClaims.of(tmp_path)
    order = []

    def other():
        with claims.hold(ONE, lambda: order.append("busy")):
            order.append("other")

    with claims.hold(ONE, lambda: order.append("never")):
        with claims.hold(ONE, lambda: order.append("never")):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.3)
        order.append("mine")
    thread.join()
    assert order == ["busy", "mine", "other"]


def test_an_error_gives_the_claim_back(tmp_path, holder):
    with pytest.raises(ValueError, match="boom"), FileClaims.of(tmp_path).hold(ONE, lambda: None):
        raise ValueError("boom")
    assert holder().stdout.readline() == "held\n"


def test_reading_the_file_does_not_matter_but_closing_it_here_would(tmp_path, holder):
    """Why there is one object for each process: closing any descriptor of the file drops all locks on it."""
    claims = FileClaims.of(tmp_path)
    assert FileClaims.of(tmp_path / ".") is claims
    assert claims.take(ONE)
    os.close(os.open(tmp_path / FILE, os.O_RDWR))
    assert holder().stdout.readline() == "held\n"  # the trap, as the system has it


def _count(folder, identity, rounds, barrier, path):
    claims = FileClaims.of(folder)
    for number in range(rounds):
        barrier.wait()
        with claims.hold(identity, lambda: None):
            done = path.with_name(f"{number}.done")
            if not done.exists():
                time.sleep(0.01)  # whoever looks now, and holds no claim, sees nothing either
                with path.open("a") as stream:
                    stream.write(f"{number}\n")
                done.touch()


def test_of_many_processes_one_does_the_work(tmp_path):
    rounds, processes = 20, 4
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(processes)
    path = tmp_path / "work.txt"
    path.touch()
    workers = [context.Process(target=_count, args=(tmp_path, ONE, rounds, barrier, path)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * processes
    assert sorted(map(int, path.read_text().split())) == list(range(rounds))


def test_a_thread_gives_back_as_often_as_it_took(tmp_path):
    claims, seen = FileClaims.of(tmp_path), []

    def other():
        taken = claims.take(ONE)
        seen.append(taken)
        if taken:
            claims.release(ONE)

    assert claims.take(ONE) and claims.take(ONE)
    for _ in range(2):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        claims.release(ONE)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [False, False, True]


def test_a_forked_process_holds_nothing_of_its_parents(tmp_path):
    """The kernel gives it none of the locks, so what its parent counts as held must not count there."""
    with FileClaims.of(tmp_path).hold(ONE, lambda: None):
        pid = os.fork()
        if pid == 0:
            os._exit(FileClaims.of(tmp_path).take(ONE))
        assert os.waitpid(pid, 0)[1] == 0
