"""One trial: a command that is stopped at a point, started again, and looked at."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults.look import Seen, look
from benchmarks.faults.points import watching

SECONDS = 300.0
"""A process that takes longer hangs."""


@dataclass(frozen=True)
class Command:
    """What is run, and where its runs are kept.

    Attributes:
        run: Runs it in this process, in the working folder; returns an exit code.
        prepare: Fills an empty working folder.
        experiment: MLflow experiment that its runs stand in.
        server: Folder of a server's ``mlflow.db`` and ``artifacts``; None: the store of the working folder.
    """

    run: Callable[[], int]
    prepare: Callable[[Path], None]
    experiment: str
    server: Path | None = None

    def look(self, folder: Path, *, in_between: bool = False) -> Seen:
        """Look at what stands in the working folder and the store."""
        if self.server is None:
            return look(folder / "mlflow.db", None, self.experiment, folder, in_between=in_between)
        artifacts = next(iter((self.server / "artifacts").glob("*")), self.server / "artifacts")
        return look(self.server / "mlflow.db", artifacts, self.experiment, folder, in_between=in_between)


@dataclass(frozen=True)
class Verdict:
    """How one trial ended.

    Attributes:
        fault: What was done.
        point: At which step.
        ended: How the stopped process ended: ``signal 9``, ``exit 130``, ...
        problems: What is wrong; nothing, if every run ended once.
    """

    fault: str
    point: str
    ended: str
    problems: tuple[str, ...]


def warm_up(command: Command) -> None:
    """Run a command once in this process, so that the forked ones find everything imported and set up.

    Raises:
        RuntimeError: If it does not run.
    """
    here = Path.cwd()
    with _folder(command) as folder, contextlib.redirect_stdout(io.StringIO()):
        os.chdir(folder)
        try:
            code = command.run()
        finally:
            os.chdir(here)
    if code:
        raise RuntimeError(f"the undisturbed command ended with exit code {code}")


def steps(command: Command) -> tuple[list[str], Seen]:
    """Run a command undisturbed; return the names of its points, and what stands there then.

    Raises:
        RuntimeError: If it does not run.
    """
    with _folder(command) as folder:
        ended, sent = in_child(lambda: _watched(command, folder, None, -1), folder)
        seen = command.look(folder)
        if ended != "exit 0" or seen.problems:
            raise RuntimeError(f"the undisturbed command ended with {ended}: {seen.problems}\n{sent}")
        return sent["points"], seen


def trial(command: Command, names: Sequence[str], at: int, fault: str, expected: Seen) -> Verdict:
    """Stop a command at point ``at``, start it again, and say what is wrong then."""
    with _folder(command) as folder:
        ended, _ = in_child(lambda: _watched(command, folder, fault, at), folder)
        problems = ["the process hangs"] if ended == "hangs" else []
        problems += [f"right after it: {problem}" for problem in command.look(folder, in_between=True).problems]
        again, sent = in_child(lambda: _watched(command, folder, None, -1), folder)
        if again != "exit 0":
            problems.append(f"the second start ended with {again}: {sent['said'] if isinstance(sent, dict) else sent}")
        seen = command.look(folder)
        problems += seen.problems
        for identity, (kind, numbers) in expected.finished.items():
            if identity not in seen.finished:
                problems.append(f"{kind}: no finished run")
            elif seen.finished[identity] != (kind, numbers):
                problems.append(f"{kind}: other numbers than undisturbed")
        return Verdict(fault, names[at], ended, tuple(problems))


def in_child(work: Callable[[], dict[str, Any]], folder: Path) -> tuple[str, Any]:
    """Do something in a forked process in ``folder``; return how it ended, and what it returned (JSON)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(work, folder, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        ended = _wait(child)
        sent = stream.read() if ended != "hangs" else b""
    return ended, json.loads(sent or b"null")


def _child(work: Callable[[], dict[str, Any]], folder: Path, writing: int) -> None:
    """Do the work and end the process, without the clean-up of the one it was forked from."""
    code = 1
    try:
        os.chdir(folder)
        silent = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(silent, number)
        for handler in logging.getLogger().handlers[:]:
            logging.getLogger().removeHandler(handler)
        answer = work()
        code = answer.get("code", 0)
        os.write(writing, json.dumps(answer).encode())
    except BaseException:
        os.write(writing, json.dumps(traceback.format_exc()).encode())
    finally:
        os._exit(code)


def _wait(child: int) -> str:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


def _watched(command: Command, folder: Path, fault: str | None, at: int) -> dict[str, Any]:
    points = watching(folder, fault, at)
    said = io.StringIO()  # no file: writing one would count as a step
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = command.run()
    return {"code": code, "points": points.names if fault is None else [], "said": said.getvalue()[-2000:]}


@contextlib.contextmanager
def _folder(command: Command) -> Iterator[Path]:
    """Make an empty working folder with what a command needs."""
    folder = Path(tempfile.mkdtemp(prefix="paribus_faults_")).resolve()
    try:
        command.prepare(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
