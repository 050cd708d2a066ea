"""A tracking server of MLflow's own, on loopback, whose runs can be thrown away between trials."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STARTS = 120.0
TABLES = ("metrics", "latest_metrics", "params", "tags", "inputs", "input_tags", "datasets", "runs", "experiment_tags")


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        uri: Its address.
        folder: Where its ``mlflow.db`` and ``artifacts`` stand.
    """

    uri: str
    folder: Path

    def clear(self) -> None:
        """Throw all runs away."""
        with contextlib.closing(sqlite3.connect(self.folder / "mlflow.db", timeout=20.0)) as connection, connection:
            for table in TABLES:
                connection.execute(f"delete from {table}")
            connection.execute("delete from experiments where experiment_id != 0")  # ledgers have tags that are gone
        shutil.rmtree(self.folder / "artifacts", ignore_errors=True)


@contextlib.contextmanager
def serving(database: Path) -> Iterator[Server]:
    """Start a server over a copy of an empty store, and end it afterwards.

    Raises:
        RuntimeError: If it does not answer in time.
    """
    with tempfile.TemporaryDirectory() as name, socket.socket() as probe:
        folder = Path(name)
        shutil.copy2(database, folder / "mlflow.db")
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        artifacts = ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
        words = ["server", *store, *artifacts, "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}, start_new_session=True,
        )  # fmt: skip
        try:
            uri = f"http://127.0.0.1:{port}"
            _wait(uri, process)
            yield Server(uri, folder)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            process.wait(timeout=30)


def _wait(uri: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + STARTS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.3)
    raise RuntimeError(f"the tracking server at {uri} does not answer")
