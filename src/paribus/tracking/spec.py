"""Where runs are kept: the ``tracking`` config group."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from paribus.errors import ConfigError
from paribus.spec import Spec, field, path_of

_USER = re.compile(r"(?<=://)[^/\s'\"]*@")
SERVER_SCHEMES = ("http://", "https://", "databricks", "postgresql", "mysql", "mssql", "sqlite://")


@dataclass(frozen=True)
class TrackingSpec(Spec, kind="tracking"):
    """Which MLflow store runs go to. None of it changes a run's identity.

    Example:
        >>> TrackingSpec(folder="runs", experiment="shortcut_digits").kind
        'local'
    """

    kind: str = field(
        "local",
        choices=("local", "server", "off"),
        science=False,
        help="local: mlflow.db and mlruns/ in the folder; server: the store at uri; off: files only.",
    )
    experiment: str = field(
        "paribus", science=False, help="MLflow experiment of all runs that are to be compared (the study)."
    )
    folder: str = field(".", science=False, help="Folder of mlflow.db and mlruns/ (kind local).")
    uri: str | None = field(None, science=False, help="Tracking URI, e.g. http://host:5000 (kind server).")
    tags: dict[str, str] = field({}, science=False, help="Further tags on every run.")
    heartbeat_seconds: float = field(
        30.0, above=0.0, science=False, help="Seconds between signs of life of a running run."
    )

    def check(self) -> None:
        """Check that a server has an address and that the experiment has a name.

        Raises:
            ConfigError: If not.
        """
        if not self.experiment.strip():
            raise ConfigError("TrackingSpec.experiment: must not be empty; e.g. paribus")
        if self.kind != "server":
            return
        if not self.uri:
            raise ConfigError("TrackingSpec.uri: a server needs its address, e.g. tracking.uri=http://host:5000")
        if not self.uri.startswith(SERVER_SCHEMES):
            raise ConfigError(
                f"TrackingSpec.uri: {self.uri!r} is no server address; write e.g. http://host:5000, "
                "or use tracking=local for a store in a folder"
            )
        try:
            urlsplit(self.uri).port  # noqa: B018 (raises where there is none)
        except ValueError as error:
            raise ConfigError(f"TrackingSpec.uri: {self.uri!r} is no address ({error})") from None


def without_password(text: str) -> str:
    """Return an address, or a text with addresses in it, without user and password.

    Example:
        >>> without_password("paribus -m seed=1,2 tracking.uri=http://me:secret@host:5000/mlflow")
        'paribus -m seed=1,2 tracking.uri=http://host:5000/mlflow'
    """
    return _USER.sub("", text)


def database(spec: TrackingSpec) -> Path:
    """Return where the database of an embedded store is, or would be.

    Example:
        >>> database(TrackingSpec(folder="/data/runs")).name
        'mlflow.db'
    """
    return path_of(spec.folder).absolute() / "mlflow.db"


def has_runs(spec: TrackingSpec) -> bool:
    """Return whether there can be runs to read, without creating a store.

    Example:
        >>> has_runs(TrackingSpec(folder="nothing_here"))
        False
    """
    if spec.kind == "local":
        path = database(spec)
        return path.is_file() and path.stat().st_size > 0  # sqlite leaves an empty file for a missing database
    return spec.kind == "server"
