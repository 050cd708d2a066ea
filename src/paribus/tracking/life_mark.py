"""The mark of the process of a run: one tag, which the UI does not show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

LIFE_TAG = "mlflow.paribus.process"
"""MLflow's UI hides tags that begin with ``mlflow.``."""
OLD_TAGS = {
    "host": "paribus.host",
    "pid": "paribus.pid",
    "started": "paribus.process_started",
    "beat": "paribus.heartbeat",
    "every": "paribus.heartbeat_seconds",
}
"""Tags of the same content in runs of earlier versions."""


@dataclass(frozen=True)
class LifeMark:
    """The information by which a RUNNING run is judged alive.

    Attributes:
        host: The machine, and on Linux its PID namespace.
        pid: Number of the process.
        started: When the process was started, in ticks since boot; empty where the system does not report it.
        beat: Time of the last heartbeat, in seconds since the epoch; NaN if unknown.
        every: Seconds between two heartbeats; NaN if unknown.
    """

    host: str
    pid: int
    started: str = ""
    beat: float = float("nan")
    every: float = float("nan")

    def tags(self) -> dict[str, str]:
        """Return the mark as a tag.

        >>> LifeMark("here", 7, "99", 1000.0, 30.0).tags()
        {'mlflow.paribus.process': '{"host": "here", "pid": 7, "started": "99", "beat": 1000.0, "every": 30.0}'}
        """
        return {LIFE_TAG: json.dumps(asdict(self))}


def life_mark(tags: Mapping[str, str]) -> LifeMark | None:
    """Return the mark among a run's tags, also in its earlier form; None if there is none, or it is unreadable.

    >>> life_mark({"paribus.host": "here", "paribus.pid": "7"}).pid
    7
    """
    try:
        if LIFE_TAG in tags:
            found = json.loads(tags[LIFE_TAG])
        else:
            found = {name: tags[key] for name, key in OLD_TAGS.items() if key in tags}
        numbers = {name: float(found[name]) for name in ("beat", "every") if name in found}
        return LifeMark(str(found["host"]), int(found["pid"]), str(found.get("started", "")), **numbers)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
