"""Reports: they work on the results of the steps before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.errors import ConfigError
from paribus.experiments.setup_results import ResultsSetup
from paribus.running.setup import basics
from paribus.tracking.identity import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paribus.results.schema import Result
    from paribus.running.resolved import Resolved
    from paribus.tracking.interface import Store


def validate(resolved: Resolved, store: Store) -> None:
    """Check that there are steps before it.

    Raises:
        ConfigError: If it is no step of a sequence.
    """
    request = resolved.request
    if request.step is None:
        raise ConfigError(
            f"experiment={request.experiment.type}: puts together what the steps before it found, so it is a step of a "
            "study, e.g. study=builds_small"
        )


def setup(resolved: Resolved, store: Store, *, identity: str) -> ResultsSetup:
    """Return the results that were given to it."""
    named = [result.feature for result in resolved.given if result.feature is not None]
    return ResultsSetup(
        **basics(resolved),
        results=resolved.given,
        feature_name=named[-1] if named else None,
        feature_id=getattr(resolved.request.nodes.get("feature"), "id", None),
    )


def results_digest(results: Sequence[Result]) -> str:
    """Return a digest of the results that a report would be made from."""
    return digest({"results": [[result.spec_id, result.run_id or ""] for result in results]})
