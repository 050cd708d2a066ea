"""Availability of a tracking server, without the many retries of MLflow's client, and its clock."""

from __future__ import annotations

import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from paribus.errors import ConfigError, message_of
from paribus.tracking import _sqlalchemy, local
from paribus.tracking.spec import without_password

PATIENCE = 5.0
"""Seconds to wait for a response. MLflow's client tries for four minutes and cannot be interrupted."""

FAILING = 500
"""HTTP status from which on the server, or something it needs, has failed."""
ROUNDING = 5.0
"""Seconds by which clocks may differ without a correction: the date of a response has whole seconds."""
DATABASES = ("postgresql", "mysql", "mssql", "sqlite")
"""Prefixes of database addresses; such a store is accessed directly, without an MLflow server."""
_PATIENT = ("psycopg", "psycopg2", "pymysql", "mysqldb")
"""Drivers with a connection timeout."""


def refuse_silent(uri: str) -> None:
    """Refuse the address of a server that does not answer, or of a database that cannot be connected to.

    For a server any response suffices, even a refusal. Nothing is created in a database. Other addresses are not
    checked.

    Raises:
        ConfigError: If nothing answers there.
        DataError: If it is a file that is no database of MLflow's.
    """
    if uri.startswith(DATABASES):
        _refuse_unreachable(uri)
    if not over_http(uri):
        return
    try:
        with urllib.request.urlopen(f"{_address(uri)}/health", timeout=PATIENCE):
            return
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise ConfigError(
            f"tracking.uri={without_password(uri)}: no answer ({said}); is the server running? "
            "tracking=local keeps runs in a folder"
        ) from None


def _refuse_unreachable(uri: str) -> None:
    shown, instead = uri, "tracking=local keeps runs in a folder"
    try:
        url = _sqlalchemy.make_url(uri)
        shown = url.render_as_string(hide_password=True)
        if url.get_backend_name() == "sqlite":
            _refuse_no_file(shown, url.database or "")
            return
        wait = {"connect_timeout": int(PATIENCE)} if url.get_driver_name() in _PATIENT else {}
        engine = _sqlalchemy.create_engine(url, connect_args=wait)
        try:
            engine.connect().close()
        finally:
            engine.dispose()
    except ImportError as error:
        raise ConfigError(f"tracking.uri={shown}: the driver of this database is not installed ({error})") from None
    except _sqlalchemy.SQLAlchemyError as error:
        said = message_of(getattr(error, "orig", None) or error)
        raise ConfigError(f"tracking.uri={shown}: no answer ({said}); {instead}") from None


def _refuse_no_file(shown: str, database: str) -> None:
    """Refuse a database file that is not MLflow's, or cannot be made."""
    path = Path(database)
    if not database or database == ":memory:" or local.usable(path):
        return
    place = path if path.exists() else path.absolute().parent
    if not place.exists() or not os.access(place, os.W_OK):
        raise ConfigError(f"tracking.uri={shown}: {place} is not there, or cannot be written")


def answers(uri: str, ask: Callable[[], object]) -> bool:
    """Return whether a server is usable now: one whose own database is missing responds, but with errors.

    Args:
        uri: Its address.
        ask: Makes a small query, for stores that are no HTTP server.
    """
    if not over_http(uri):
        try:
            ask()
        except Exception:
            return False
        return True
    query = "api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
    try:
        with urllib.request.urlopen(f"{_address(uri)}/{query}", timeout=PATIENCE):
            return True
    except urllib.error.HTTPError as error:  # a refusal is an answer
        return error.code < FAILING
    except (OSError, ValueError, http.client.HTTPException):
        return False


def over_http(uri: str) -> bool:
    """Return whether a store is reached over HTTP.

    Example:
        >>> over_http("http://host:5000"), over_http("postgresql+psycopg2://host/db")
        (True, False)
    """
    return urlsplit(uri).scheme in ("http", "https")


@cache
def clock(uri: str) -> Callable[[], float]:
    """Return the clock for the times of heartbeats: that of the server, common to all hosts.

    Clocks of hosts may differ by an hour; each host corrects its own by the date of one response of the server.
    """
    if not over_http(uri):
        return time.time
    try:
        with urllib.request.urlopen(f"{_address(uri)}/health", timeout=PATIENCE) as answer:
            date = answer.headers.get("Date")
            ahead = parsedate_to_datetime(date).timestamp() - time.time() if date else 0.0
    except (OSError, ValueError, TypeError, http.client.HTTPException):
        return time.time
    return (lambda: time.time() + ahead) if abs(ahead) > ROUNDING else time.time


def _address(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
