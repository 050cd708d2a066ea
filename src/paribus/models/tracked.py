"""The ``tracked`` option of the ``model`` group: the trained model of an earlier run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from paribus.errors import ConfigError
from paribus.spec import Spec, field

LATEST = "latest"


@dataclass(frozen=True)
class Tracked(Spec, kind="model/tracked"):
    """The model that a tracked run trained, with its checkpoints and history.

    Example:
        >>> Tracked().run
        'latest'
    """

    run: str = field(
        LATEST, help="Id of the run, the first digits of it, or latest: the study's latest finished training run."
    )

    def check(self) -> None:
        """Check that it can be the id of a run.

        Raises:
            ConfigError: If not.
        """
        if self.run != LATEST and not re.fullmatch(r"[0-9a-f]{4,32}", self.run):
            raise ConfigError(
                f"Tracked.run: {self.run!r} is no run id; give at least 4 of its hexadecimal digits, or latest "
                "(digits alone need quotes: model.run=\"'1234'\")"
            )
