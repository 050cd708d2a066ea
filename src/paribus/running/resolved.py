"""A request whose model and data are known, nothing of it loaded yet."""

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
        asked: The request as it was before, where the model is to be trained on the spot.
        given: Results of the steps before, for a report about them.
        runs: Of a comparison: ids of the runs that stand for all that it is made from.
        beside: The request on a second trained model and the same data, where the experiment takes two.
        other: What is measured on, where it is not what the model was trained on: another data set, or its own changed.
    """

    request: Request
    source: ModelSource | None
    asked: Request | None = None
    given: tuple[Result, ...] = ()
    other: str | None = None
    beside: Resolved | None = None
    runs: tuple[str, ...] = ()
