"""What a report works on: the results that a study has found so far about one feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.experiments.base import Setup

if TYPE_CHECKING:
    from paribus.results.schema import Result


@dataclass(kw_only=True)
class ResultsSetup(Setup):
    """The setup of a report.

    Attributes:
        results: Finished results, in the order they were made.
        feature_name: Name of the feature that the report is about.
        feature_id: Its number among the latents, where it is one.
    """

    results: tuple[Result, ...]
    feature_name: str | None = None
    feature_id: int | None = None

    def of_type(self, experiment_type: str) -> list[Result]:
        """Return the results of an experiment type."""
        return [result for result in self.results if result.experiment_type == experiment_type]
