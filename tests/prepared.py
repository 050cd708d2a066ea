"""Processes that have imported everything already: forked from one that was started for this and runs nothing itself.

A test that needs a process of its own (a signal, a race, a command as a person types it) pays a few milliseconds, not
the seconds that importing torch, MLflow and matplotlib takes. What is tested is the same but for the imports; what they
cost and in which order they come, ``tests/cli/test_main.py``, ``tests/house`` and ``tests/e2e/test_installed_wheel.py``
look at in processes really started.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
from pathlib import Path

from filelock import FileLock

PRELOAD = (
    "torch", "scipy.stats", "sklearn.linear_model", "mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store",
    "matplotlib.pyplot",
)  # fmt: skip


class Process:
    """One such process, used like :class:`subprocess.Popen`; what it prints goes to files."""

    def __init__(self, owner: Prepared, words: list[str], pid: int, files: tuple[Path, Path]) -> None:
        self.args, self.pid, self._owner, self._files = words, pid, owner, files

    @property
    def returncode(self) -> int | None:
        return self._owner.ended.get(self.pid)

    def poll(self) -> int | None:
        self._owner.look(0.0)
        return self.returncode

    def wait(self, timeout: float = 60.0) -> int:
        end = time.monotonic() + timeout
        while self.returncode is None:
            left = end - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(self.args, timeout, *self.printed())
            self._owner.look(left)
        return self.returncode

    def communicate(self, timeout: float = 60.0) -> tuple[str, str]:
        self.wait(timeout)
        return self.printed()

    def printed(self) -> tuple[str, str]:
        """Return what it has printed and complained about up to now."""
        out, err = (file.read_text() for file in self._files)
        return out, err

    def wait_for(self, text: str, timeout: float = 60.0) -> None:
        """Wait until it has printed ``text``."""
        end = time.monotonic() + timeout
        while text not in self.printed()[0]:
            assert self.poll() is None and time.monotonic() < end, (text, *self.printed())
            time.sleep(0.01)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Prepared:
    """Starts such processes; all that name one address share the process that they are forked from.

    Attributes:
        ended: Exit codes by process id; a signal counts as negative.
    """

    def __init__(self, folder: Path, address: Path) -> None:
        self._folder, self.ended, self._rest = folder, {}, b""
        self._server: subprocess.Popen[bytes] | None = None
        self._ours = socket.socket(socket.AF_UNIX)
        with FileLock(f"{address}.lock"):
            try:
                self._ours.connect(str(address))
            except (FileNotFoundError, ConnectionRefusedError):
                address.unlink(missing_ok=True)
                self._server = self._begin(address)

    def _begin(self, address: Path) -> subprocess.Popen[bytes]:
        """Start the process that others are forked from; it ends when the last connection is gone."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(address))
            listener.listen()
            self._ours.connect(str(address))
            return subprocess.Popen(
                [sys.executable, __file__, str(listener.fileno())],
                pass_fds=[listener.fileno()],
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
            )

    def start(self, words: list[str], *, cwd: Path | None = None, env: dict | None = None, text: str = "") -> Process:
        """Start ``[python, -c, code, ...]``, ``[python, -m, module, ...]`` or ``[python, file, ...]``."""
        assert words[0] == sys.executable
        place = Path(tempfile.mkdtemp(dir=self._folder))
        (place / "in").write_text(text)
        files = place / "out", place / "err"
        with (place / "in").open() as stdin, files[0].open("w") as out, files[1].open("w") as err:
            request = {
                "words": words[1:],
                "cwd": str(cwd or Path.cwd()),
                "env": dict(os.environ if env is None else env),
            }
            data = json.dumps(request).encode()
            socket.send_fds(self._ours, [len(data).to_bytes(8, "big")], [stdin.fileno(), out.fileno(), err.fileno()])
            self._ours.sendall(data)
        started = None
        while started is None:
            started = self.look(60.0)
        return Process(self, words, started, files)

    def run(
        self, words: list[str], *, cwd: Path | None = None, env: dict | None = None, text: str = "",
        timeout: float = 200.0,
    ) -> subprocess.CompletedProcess:  # fmt: skip
        """Run one to its end."""
        process = self.start(words, cwd=cwd, env=env, text=text)
        try:
            out, err = process.communicate(timeout)
        finally:
            process.kill()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def look(self, seconds: float) -> int | None:
        """Wait at most so long for news of the server; return the id of a process that was started."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return None
        data = self._ours.recv(65536)
        assert data, "the process that others are forked from has ended"
        *complete, self._rest = (self._rest + data).split(b"\n")
        started = None
        for line in complete:
            pid, code = json.loads(line)
            if code is None:
                started = pid
            else:
                self.ended[pid] = code
        return started

    def close(self) -> None:
        """Let go of the server, which ends when nobody needs it; what was started here and still runs is killed."""
        self._ours.close()
        if self._server is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # it serves others still
                self._server.wait(1.0)


def serve(listener: socket.socket) -> None:
    """Fork a process for every request, until whoever connected is gone."""
    load()
    alive: dict[socket.socket, set[int]] = {listener.accept()[0]: set()}
    while alive:
        ready = select.select([listener, *alive], [], [], 0.02 if any(alive.values()) else None)[0]
        for control in ready:
            if control is listener:
                alive[listener.accept()[0]] = set()
            elif (request := receive(control)) is None:
                for pid in alive.pop(control):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                control.close()
            else:
                pid = fork(*request, [listener, *alive])
                alive[control].add(pid)
                control.sendall(json.dumps([pid, None]).encode() + b"\n")
        for control, pids in alive.items():
            for pid in list(pids):
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    pids.discard(pid)
                    control.sendall(json.dumps([pid, os.waitstatus_to_exitcode(status)]).encode() + b"\n")


def receive(control: socket.socket) -> tuple[dict, list[int]] | None:
    """Return what is asked for, and its standard streams; None if the other end is gone."""
    size, descriptors, _, _ = socket.recv_fds(control, 8, 3)
    if not size:
        return None
    data = b""
    while len(data) < int.from_bytes(size, "big"):
        data += control.recv(65536)
    return json.loads(data), descriptors


def load() -> None:
    """Import what is slow, and all of Paribus."""
    sys.path[0] = ""  # not this folder
    gc.disable()  # nothing that is imported is garbage
    for name in PRELOAD:
        importlib.import_module(name)
    import paribus

    for module in pkgutil.walk_packages(paribus.__path__, "paribus."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    del sys.path[0]
    gc.collect()
    gc.freeze()
    gc.enable()


def fork(request: dict, descriptors: list[int], sockets: list[socket.socket]) -> int:
    """Return the id of a new process that does what is asked."""
    pid = os.fork()
    if not pid:
        for each in sockets:
            each.close()
        code = 1
        try:
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
            code = perform(request)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                threading._shutdown()
                atexit._run_exitfuncs()
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def perform(request: dict) -> int:
    """Do it as a new interpreter would; return its exit code."""
    words, env = request["words"], request["env"]
    own = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(env)
    sys.stdout.reconfigure(line_buffering=True)
    random.seed()
    added = [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry and entry not in own]
    kind = words[0]
    first = {"-c": "", "-m": os.getcwd()}.get(kind) if kind.startswith("-") else str(Path(kind).resolve().parent)
    sys.path[:0] = [first, *added]
    sys.argv = [kind, *words[2:]] if kind.startswith("-") else words
    try:
        if kind == "-c":
            main = sys.modules["__main__"] = types.ModuleType("__main__")
            exec(compile(words[1], "<string>", "exec"), main.__dict__)
        elif kind == "-m":
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(kind, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
