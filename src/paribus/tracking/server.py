"""A tracking server: whether it answers, asked without the long patience of MLflow's own client."""

from __future__ import annotations

import urllib.error
import urllib.request
from urllib.parse import urlsplit

from paribus.errors import ConfigError

PATIENCE = 5.0
"""Seconds to wait for an answer. MLflow's client tries for four minutes, and cannot be interrupted meanwhile."""


def refuse_silent(uri: str) -> None:
    """Refuse the address of a server that does not answer; any answer will do, also a refusal.

    Raises:
        ConfigError: If nothing answers there.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return
    request = urllib.request.Request(
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/health"
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE):
            return
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise ConfigError(
            f"tracking.uri={uri}: no answer ({said}); is the server running? tracking=local keeps runs in a folder"
        ) from None
