"""Opening the store that a specification describes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.errors import ConfigError, message_of
from paribus.spec import path_of
from paribus.tracking import _mlflow, local, server
from paribus.tracking.environment import no_deprecations, quiet
from paribus.tracking.interface import FileStore, Store
from paribus.tracking.login import put_back
from paribus.tracking.patience import PatientClient, patiently, refuse_locked, short_waits
from paribus.tracking.spec import without_password
from paribus.tracking.store import MlflowStore

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from paribus.tracking.spec import TrackingSpec

_clients: dict[tuple[int, str], Any] = {}


def open_store(spec: TrackingSpec, *, writing: bool = True) -> Store:
    """Open the store that ``spec`` describes; a missing embedded one is created.

    Args:
        spec: Which store.
        writing: Whether runs are going to be written; reading a store that was moved is allowed.

    Raises:
        ConfigError: If an old file store lies in the folder, the store was moved, or a server cannot be reached.
        DataError: If the folder cannot be written or its database is damaged.
    """
    if spec.kind == "off":
        return FileStore()
    quiet()
    root = path_of(spec.folder).absolute() if spec.kind == "local" else None
    if root is not None:
        uri = local.prepare(root, writing=writing)
        if writing:
            local.refuse_moved(root)
    else:
        uri = put_back(str(spec.uri))
        if not writing:
            _refuse_missing(uri)
        server.refuse_silent(uri)  # also where this process has asked it before
    return MlflowStore(client_of(uri), spec.experiment, spec=spec, root=root)


def _refuse_missing(uri: str) -> None:
    """Refuse to read a missing database file; opening it would create it.

    Raises:
        ConfigError: If it is not.
    """
    file = uri.removeprefix("sqlite:///")
    if file != uri and not Path(file).is_file():
        raise ConfigError(f"tracking.uri={uri}: there are no runs yet: no {file}")


def client_of(uri: str) -> MlflowClient:
    """Return this process's client for a tracking URI; opening one takes half a second.

    Raises:
        ConfigError: If nothing answers there.
        ExperimentError: If it is a database that another process keeps locked for too long.
    """
    uri = put_back(uri)
    key = (os.getpid(), uri)
    if key not in _clients:
        server.refuse_silent(uri)
        with no_deprecations():
            try:
                client = patiently(lambda: _opened(uri), uri.removeprefix("sqlite:///"))
            except (_mlflow.MlflowException, ImportError) as error:  # the second: no driver for this database
                refuse_locked(uri, error)
                said = message_of(error)
                if server.over_http(uri):
                    status = said.partition(". Response body")[0]
                    said = f"it answers, but not as a tracking server of MLflow's ({status})"
                raise ConfigError(f"tracking.uri={without_password(uri)}: {said}") from None
        _clients[key] = PatientClient(client, file) if (file := uri.removeprefix("sqlite:///")) != uri else client
    client_: MlflowClient = _clients[key]
    return client_


def _opened(uri: str) -> MlflowClient:
    """Return a client that has queried its store once."""
    client = _mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    if uri.startswith("sqlite:"):
        store: Any = client._tracking_client.store
        short_waits(store.engine)
    client.search_experiments(max_results=1)
    return client
