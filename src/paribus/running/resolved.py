"""A request whose model and data are known; nothing is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.running.request import Request
    from paribus.running.source import ModelSource


@dataclass(frozen=True)
class Resolved:
    """A request whose model and data are known.

    Attributes:
        request: The request, with the specs of the run it takes its model from.
        source: The trained model, None where the model is built anew or read from a file.
        asked: The original request, where the model is to be trained on the spot.
        given: Results of the steps before, for a report about them.
        runs: For a comparison: ids of the outermost runs that it is made from.
        beside: The request on a second trained model and the same data, where the experiment takes two.
        other: The data measured on, if the model was not trained on them: another data set, or its own with changes.
    """

    request: Request
    source: ModelSource | None
    asked: Request | None = None
    given: tuple[Result, ...] = ()
    other: str | None = None
    beside: Resolved | None = None
    runs: tuple[str, ...] = ()
