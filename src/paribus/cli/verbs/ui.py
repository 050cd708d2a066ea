"""``paribus ui``: the MLflow UI over this folder's runs, on loopback."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence

from paribus.cli.arguments import Arguments, database, has_runs, tracking_spec
from paribus.cli.columns import aligned
from paribus.errors import ConfigError

SUMMARY = "the MLflow UI over the runs of this folder, on loopback"
USAGE = """
paribus ui [--port 5000] [tracking.folder=DIR]

Starts the MLflow UI at http://127.0.0.1:PORT until it is interrupted, and says where it shows each study's runs.
With tracking=server it says where the server is.
"""
HOST = "127.0.0.1"


def run(arguments: Sequence[str]) -> int:
    """Become the MLflow UI.

    Raises:
        ConfigError: If there are no runs yet, or the port is taken.
    """
    parser = Arguments("ui")
    parser.add_argument("--port", type=int, default=5000)
    parser.store_options()
    asked = parser.take(arguments)
    spec = tracking_spec(asked.overrides, asked.config_dir)
    if spec.kind == "server":
        print(f"The runs are on a tracking server, which has its own UI: {spec.uri}")
        return 0
    if not has_runs(spec):
        raise ConfigError(f"ui: there are no runs yet: no {database(spec)}")
    _refuse_taken_port(asked.port)
    from paribus.tracking.environment import quiet
    from paribus.tracking.views import addresses

    quiet()
    base = f"http://{HOST}:{asked.port}"
    print(f"{base}  (Ctrl-C ends it)")
    rows = [(name, address) for name, address in addresses(database(spec), base).items()]
    print(aligned(rows, indent="  "), flush=True)
    os.chdir(database(spec).parent)
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # nine processes for what no run here uses
    store = f"sqlite:///{database(spec)}"
    words = ["ui", "--backend-store-uri", store, "--host", HOST, "--port", str(asked.port), "--workers", "1"]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", *words])


def _refuse_taken_port(port: int) -> None:
    if not 0 < port < 65536:
        raise ConfigError(f"ui: --port wants a number from 1 to 65535, got {port}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigError(
                f"ui: port {port} cannot be used ({error.strerror}); choose another with --port"
            ) from None
