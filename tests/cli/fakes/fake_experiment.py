"""An experiment type that does what it is told, for tests of the entrypoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.experiments.base import Experiment
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True)
class Fake(Experiment):
    """Does what it is told."""

    type: ClassVar[str] = "fake"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    subject: ClassVar[str] = "images"
    summary: ClassVar[str] = "Does what it is told."

    do: str = field("finish", help="What to do.")
    seconds: float = field(60.0, low=0, help="How long to sleep.")

    def run(self, setup: Any, recorder: Any) -> Any:
        raise AssertionError("the fake run_job never calls this")
