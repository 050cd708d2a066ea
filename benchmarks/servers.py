"""A team's store on loopback: PostgreSQL, MLflow's tracking server with its artifacts, and a gate that can be shut."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

STARTS = 120.0
UNPRIVILEGED = ("postgres", "nobody")
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=60")


def programs() -> Path | None:
    """Return the folder of PostgreSQL's server programs, None where it is not installed."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: folder.parent.name)
    return Path(found).resolve().parent if found else folders[-1] if folders else None


def free_port() -> int:
    """Return a port of loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def postgres(*options: str) -> Iterator[str]:
    """Start a PostgreSQL server with a data folder of its own; yield the URI of its empty database.

    It refuses to run as root, who therefore starts it as another user.

    Raises:
        RuntimeError: If it is not installed, or does not start.
    """
    where = programs()
    if where is None:
        raise RuntimeError("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="paribus_postgres_"))
    other = _other_user()
    if other:
        os.chown(folder, pwd.getpwnam(other).pw_uid, -1)
    port, data = free_port(), str(folder / "data")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, "user": other}
    try:
        made = [where / "initdb", "-D", data, "-U", "paribus", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(made, check=True, **quiet)
        words = [where / "postgres", "-D", data, "-k", folder, "-p", str(port), "-h", "127.0.0.1"]
        settings = [word for option in (*QUICK, *options) for word in ("-c", option)]
        process = subprocess.Popen([*words, *settings], **quiet)
        try:
            _until(lambda: _listens(port), process, "PostgreSQL")
            yield f"postgresql+psycopg2://paribus@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # "fast": connections are closed
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _other_user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    return next(user for user in UNPRIVILEGED if user in known)


@dataclass
class Server:
    """MLflow's tracking server as a process, which can be stopped and started again.

    Attributes:
        database: URI of its database.
        folder: Where its artifacts are, in ``artifacts``.
        port: Its port on loopback.
    """

    database: str
    folder: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            RuntimeError: If it does not answer in time.
        """
        artifacts = ["--serve-artifacts", "--artifacts-destination", str(self.folder / "artifacts")]
        words = ["--backend-store-uri", self.database, *artifacts, "--workers", "1", "--host", "127.0.0.1"]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *words, "--port", str(self.port)],
                stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            )  # fmt: skip
        _until(self._answers, self._process, f"the tracking server at {self.uri}")

    def stop(self) -> None:
        """Stop it at once, as a failing machine would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=30)
            self._process = None

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
            return bool(answer.status == 200)
        return False


@contextlib.contextmanager
def serving(database: str) -> Iterator[Server]:
    """Start a tracking server over a database, and end it afterwards."""
    with tempfile.TemporaryDirectory(prefix="paribus_server_") as name:
        server = Server(database, Path(name))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def team() -> Iterator[Server]:
    """Start what a team works with: a tracking server over PostgreSQL."""
    with postgres() as database, serving(database) as server:
        yield server


class Gate:
    """A door in front of a server: it passes on what comes, until it is shut; then connections are refused.

    Attributes:
        port: Its port on loopback.
        met: The requests that came through, as ``METHOD /path``.
        meet: Called with the number and the line of each request before it is passed on; may shut the gate.
    """

    def __init__(self, port: int) -> None:
        """Open it in front of ``port``."""
        self._behind = port
        self.port = free_port()
        self.met: list[str] = []
        self.meet: Callable[[int, str], None] = lambda number, line: None
        self._listening: socket.socket | None = None
        self._pairs: set[socket.socket] = set()
        self.open()

    @property
    def uri(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Let requests through."""
        if self._listening is None:
            self._listening = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def shut(self) -> None:
        """Refuse what comes, and cut what is under way."""
        if self._listening is not None:
            with contextlib.suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None
        for each in [*self._pairs]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._behind)) as server:
            pair = {client, server}
            self._pairs |= pair
            back = threading.Thread(target=_pump, args=(server, client, lambda chunk: None), daemon=True)
            back.start()
            _pump(client, server, self._look)
            back.join()
            self._pairs -= pair

    def _look(self, chunk: bytes) -> None:
        line = chunk.split(b"\r\n", 1)[0].decode("latin-1")
        if line.endswith("HTTP/1.1"):
            self.met.append(" ".join(line.split()[:2]).split("?")[0])
            self.meet(len(self.met) - 1, self.met[-1])


def _pump(source: socket.socket, target: socket.socket, look: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            look(chunk)
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _until(ready: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    end = time.monotonic() + STARTS
    while time.monotonic() < end and process.poll() is None:
        if ready():
            return
        time.sleep(0.1)
    raise RuntimeError(f"{what} does not start")
