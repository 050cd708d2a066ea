"""``paribus ui``: the MLflow UI over this folder's runs, on loopback."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from paribus.cli.arguments import Arguments
from paribus.cli.columns import aligned
from paribus.cli.store import tracking_spec
from paribus.errors import ConfigError, ParibusError
from paribus.tracking.environment import quiet
from paribus.tracking.local import usable
from paribus.tracking.opening import open_store
from paribus.tracking.spec import database, has_runs, without_password
from paribus.tracking.store import MlflowStore
from paribus.tracking.views import addresses

if TYPE_CHECKING:
    from paribus.tracking.spec import TrackingSpec
    from paribus.tracking.views import Address

SUMMARY = "the MLflow UI over the runs of this folder, on loopback"
USAGE = """
paribus ui [--port 5000] [tracking.folder=DIR]

Starts the MLflow UI at http://127.0.0.1:PORT until it is interrupted, and says where it shows each study's runs and
curves. Its run lists begin with the columns that tell runs apart, steps of studies among them; what is chosen in the
page is kept. With tracking=server it says where the server shows them.
"""
HOST = "127.0.0.1"
ONE_TRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
APP = "paribus"
"""Our entry point among MLflow's applications."""


def run(arguments: Sequence[str]) -> int:
    """Become the MLflow UI.

    Raises:
        ConfigError: If there are no runs yet, or the port is taken.
        DataError: If the database is damaged or not MLflow's.
    """
    parser = Arguments("ui")
    parser.add_argument("--port", type=int, default=5000)
    parser.store_options()
    asked = parser.take(arguments)
    spec = tracking_spec(asked.overrides, asked.config_dir)
    if spec.kind == "server":
        return _on_a_server(spec)
    if not has_runs(spec):
        raise ConfigError(f"ui: there are no runs yet: no {database(spec)}")
    usable(database(spec))
    _refuse_taken_port(asked.port)

    quiet()
    base = f"http://{HOST}:{asked.port}"
    print(f"{base}  (Ctrl-C ends it)")
    print(_listed(addresses(database(spec), base)), flush=True)
    os.chdir(database(spec).parent)
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # nine processes for what no run here uses
    store = f"sqlite:///{database(spec)}"
    words = ["ui", "--backend-store-uri", store, "--host", HOST, "--port", str(asked.port), "--workers", "1"]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", *words, *_with_our_run_lists()])


def _listed(found: Sequence[Address]) -> str:
    """Return the addresses, one a line; the study's name comes before the first of each."""
    rows = []
    for number, each in enumerate(found):
        first = number == 0 or found[number - 1].study != each.study
        rows.append((each.study if first else "", each.what, each.url))
    return aligned(rows, indent="  ") if rows else "  no runs yet"


def _with_our_run_lists() -> list[str]:
    """Return the words by which MLflow serves its pages through us, where the installation has made that known."""
    known = {each.name for each in entry_points(group="mlflow.app")}
    return ["--app-name", APP] if APP in known else []


def _on_a_server(spec: TrackingSpec) -> int:
    """Say where a tracking server shows the runs; it serves its own pages, whether it answers us now or not."""
    address = without_password(str(spec.uri))
    print(f"The runs are on a tracking server, which has its own UI: {address}", flush=True)
    before = dict(os.environ)
    os.environ |= ONE_TRY
    try:
        store = open_store(spec, writing=False)
        assert isinstance(store, MlflowStore)
        print(_listed(store.addresses(address.rstrip("/"))))
    except ParibusError:
        print("  it does not answer, so the pages of its studies are not listed")
    finally:
        os.environ.clear()
        os.environ.update(before)
    return 0


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
