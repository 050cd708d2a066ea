"""A look at every latent of an autoencoder, which chooses those that the rest of a study works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.base import Experiment
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class FeatureSurvey(Experiment):
    """Rank all latents on one half of the source builds, and choose a few that differ in what leads them.

    Example:
        >>> FeatureSurvey(n_features=3).n_features
        3
    """

    type: ClassVar[str] = "feature_survey"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    subject: ClassVar[str] = "builds"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "rank all latents of an autoencoder and choose those that a study works on"
    work: ClassVar[str] = "paribus.experiments.builds.feature_survey.work"
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "slice", "constraints")
    takes_dtype: ClassVar[bool] = True
    chooses_features: ClassVar[bool] = True
    """In a sequence, the steps after it that need a feature are run once for each row of its table ``chosen``."""

    n_features: int = field(3, low=1, high=100, help="Latents to choose.")
    min_firing: float = field(0.02, low=0.0, high=1.0, help="Least firing rate of a candidate.")
    max_firing: float = field(0.6, low=0.0, high=1.0, help="Largest firing rate of a candidate.")
    rung: int | None = field(
        None, low=1, unstated=12, help="AP that the chosen latents' families are screened at; null: every rung."
    )
    screen_contexts: int = field(200, low=10, help="Contexts of that screening.")

    def check(self) -> None:
        """Check the range of firing rates.

        Raises:
            ConfigError: If it is empty.
        """
        if self.min_firing >= self.max_firing:
            raise ConfigError(
                f"FeatureSurvey: min_firing ({self.min_firing}) must be below max_firing ({self.max_firing})"
            )

    def validate(self, setup: BuildSetup) -> None:
        """Check that the model has an autoencoder with enough latents.

        Raises:
            ConfigError: If not.
        """
        known = setup.model.require_sae().n_features
        if self.n_features > known:
            raise ConfigError(f"experiment.n_features={self.n_features}: the autoencoder has {known} latents")
