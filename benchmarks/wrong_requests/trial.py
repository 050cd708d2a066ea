"""One wrong request: made in a forked process, in an empty folder, within limits of time and memory."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.wrong_requests.wrong import Wrong

SECONDS = 10.0
"""Seconds of processor time that a refusal may take."""
HANGS = 40.0
"""Seconds of work, or of waiting without any, after which there is no answer: the machine may be busy."""
LONGEST_WAIT = 400.0
"""Seconds after which there is no answer, whatever was done."""
MEMORY = 600 * 2**20
"""Bytes that a refusal may take beyond what the process had when it was forked."""
REPORTING = ("doctor", "verify")
"""Verbs that look at something and say by exit code 1 that it is not well."""
LONGEST = 900
"""Characters of a line that is still clear."""


@dataclass(frozen=True)
class Answer:
    """What came of a request.

    Attributes:
        code: Exit code; negative: the signal that ended it; None: it took too long.
        out: What it printed.
        err: What it said.
        left: Files and folders that are there now.
        seconds: Processor time it took.
        bytes: How much memory it took beyond what was there.
    """

    code: int | None
    out: str
    err: str
    left: tuple[str, ...]
    seconds: float
    bytes: int


def ask(request: Wrong, files: Path, *, before: Callable[[], None] | None = None) -> Answer:
    """Make a request in a process forked from this one, which has imported everything.

    Args:
        request: The request.
        files: The folder of unfit files.
        before: Something to do in the forked process first.
    """
    folder = Path(tempfile.mkdtemp(prefix="paribus_wrong_")).resolve()
    (folder / "work").mkdir()
    words = [word.replace("{files}", str(files)) for word in request.words]
    words = [*words[:1], "-m", *words[1:]] if request.multirun and words[0] == "plan" else words
    words = ["-m", *words] if request.multirun and words[0] != "plan" else words
    held = _held()
    started = time.monotonic()
    try:
        child = os.fork()
        if child == 0:
            _child(words, folder, before)
        code, used, took = _wait(child, started)
        left = tuple(sorted(str(path.relative_to(folder / "work")) for path in (folder / "work").rglob("*")))
        said = [(folder / name).read_text(errors="replace") for name in ("out", "err")]
        return Answer(code, said[0], said[1], left, took, max(0, used - held))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def problems(request: Wrong, answer: Answer) -> list[str]:
    """Return what is wrong with an answer; nothing, if it is one clear line and exit code 2 and nothing is left."""
    found = []
    if answer.code is None:
        return [f"no answer after {answer.seconds:.0f} s of work"]
    if answer.code == 0 and request.may_hold:
        return [f"took {answer.bytes / 2**20:.0f} MiB"] if answer.bytes > 2 * MEMORY else []
    found_fault = answer.code == 1 and not answer.err and request.words[0] in REPORTING
    if answer.code != 2 and not (request.may_hold and found_fault):
        found.append(f"exit code {answer.code}")
    lines = [line for line in answer.err.splitlines() if line.strip()]
    if re.search(r"cannot be set up: (Name|Attribute|Key|Index|Type|Assertion|UnboundLocal)Error", answer.err):
        found.append("nobody foresaw it")
    if "Traceback" in answer.err + answer.out:
        found.append("a traceback")
    if answer.code == 2 and len(lines) != 1:
        found.append(f"{len(lines)} lines")
    if answer.code == 2 and answer.out:
        found.append(f"prints {answer.out[:80]!r}")
    if any(len(line) > LONGEST + max(map(len, request.words)) for line in lines):
        found.append(f"a line of {max(map(len, lines))} characters")
    found += [f"does not name {part!r}" for part in request.parts if part not in answer.err]
    if answer.left:
        found.append(f"leaves {len(answer.left)} files ({answer.left[0]}, ...)")
    if answer.seconds > SECONDS:
        found.append(f"takes {answer.seconds:.1f} s")
    if answer.bytes > MEMORY:
        found.append(f"takes {answer.bytes / 2**20:.0f} MiB")
    return found


def _child(words: list[str], folder: Path, before: Callable[[], None] | None) -> None:
    """Answer the request and end the process, without the clean-up of the one it was forked from."""
    code = 99
    try:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        os.chdir(folder / "work")
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        from paribus.cli.main import main

        if before is not None:
            before()
        code = main(words)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 98
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, started: float) -> tuple[int | None, int, float]:
    worked, since = 0.0, started
    while worked < HANGS and time.monotonic() - since < HANGS and time.monotonic() - started < LONGEST_WAIT:
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024, used.ru_utime + used.ru_stime
        if (now := _work(child)) > worked:
            worked, since = now, time.monotonic()
        time.sleep(0.003)
    os.kill(child, signal.SIGKILL)
    _, _, used = os.wait4(child, 0)
    return None, used.ru_maxrss * 1024, used.ru_utime + used.ru_stime


def _work(child: int) -> float:
    """Return the processor time that a process has used, in seconds."""
    with open(f"/proc/{child}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _held() -> int:
    """Return how much memory this process holds, in bytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))
