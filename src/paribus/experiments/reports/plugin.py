"""Reports: they work on the results of the steps before them."""

from __future__ import annotations

from paribus.errors import ConfigError
from paribus.experiments.asked import Asked
from paribus.experiments.base import STEP_RESULTS
from paribus.experiments.setup_results import ResultsSetup
from paribus.experiments.subject import MadeFrom, SubjectPlugin
from paribus.features.latent import Latent
from paribus.tracking.identity import digest


class StepResults(SubjectPlugin):
    """Sets experiments up that put together what the steps before them found."""

    name = STEP_RESULTS

    def validate(self, asked: Asked) -> None:
        """Check that there are steps before it.

        Raises:
            ConfigError: If it is no step of a sequence.
        """
        if asked.step is None:
            raise ConfigError(
                f"experiment={asked.experiment.type}: puts together what the steps before it found, so it is a step "
                "of a study, e.g. study=builds_small"
            )

    def setup(self, asked: Asked) -> ResultsSetup:
        """Return the results that were given to it."""
        named = [result.feature for result in asked.given if result.feature is not None]
        feature = asked.nodes.get("feature")
        return ResultsSetup(
            **asked.basics,
            results=asked.given,
            feature_name=named[-1] if named else None,
            feature_id=feature.id if isinstance(feature, Latent) else None,
        )

    def made_from(self, asked: Asked) -> MadeFrom | None:
        """Return a digest of the results that a report would be made from; None before there are any."""
        if not asked.given:
            return None
        return MadeFrom(digest({"results": [[result.spec_id, result.run_id or ""] for result in asked.given]}))


RESULTS = StepResults()
