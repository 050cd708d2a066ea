"""A look at every feature of one kind, which chooses those that the rest of a study works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.errors import ConfigError
from paribus.experiments.suiting import OnBuildsOrOthers
from paribus.models.sae import read_anew, sae_files
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class FeatureSurvey(OnBuildsOrOthers):
    """Rank all latents of an autoencoder, or all units of a place, on one half of the clusters, and choose a few.

    The chosen ones differ in what leads them: an ability family or the weapon of builds; a label or a domain of others.

    Example:
        >>> FeatureSurvey(n_features=3).n_features
        3
    """

    type: ClassVar[str] = "feature_survey"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "Ranks all latents of an autoencoder, or units, and chooses those that a study works on."
    work: ClassVar[str] = "paribus.experiments.builds.feature_survey.work"
    work_elsewhere: ClassVar[str] = "paribus.experiments.any.feature_survey.work"
    of_builds: ClassVar[tuple[str, ...]] = ("rung",)
    elsewhere: ClassVar[tuple[str, ...]] = ("place", "path", "clamp", "split", "n_contexts", "n_permutations")
    on_builds: ClassVar[str] = "a survey of builds reads the model's own autoencoder"
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "slice", "constraints")
    takes_dtype: ClassVar[bool] = True
    chooses_features: ClassVar[bool] = True
    """In a sequence, the steps after it that need a feature are run once for each row of its table ``chosen``."""

    n_features: int = field(3, low=1, high=100, help="Features to choose.")
    min_firing: float = field(0.02, low=0.0, high=1.0, help="Least firing rate of a candidate.")
    max_firing: float = field(0.6, low=0.0, high=1.0, help="Largest firing rate of a candidate.")
    rung: int | None = field(
        None,
        low=1,
        unstated=12,
        help="Builds: AP that the chosen latents' families are screened at; null: every rung.",
    )
    screen_contexts: int = field(200, low=10, help="Contexts that candidates are screened on.")
    place: str = field(
        "auto",
        unstated="auto",
        help="Other networks: the module whose latents or units are surveyed; auto: where the network's only "
        "autoencoder reads, else the input of the last linear layer.",
    )
    path: str | None = field(
        None,
        file=sae_files,
        unstated=None,
        help="Other networks: state dict or SAELens folder of an autoencoder that reads the place; null: the network's "
        "own, and where it has none there the units.",
    )
    clamp: float | None = field(
        6.0, above=0.0, unstated=6.0, help="Upper bound of the activation of an autoencoder from a state dict."
    )
    split: str = field(
        "auto", unstated="auto", help="Other networks: the split to choose on; auto: train where there is one."
    )
    n_contexts: int = field(
        5000, low=0, unstated=5000, help="Other networks: the most contexts, drawn at random; 0: all."
    )
    n_permutations: int = field(
        999, low=99, unstated=999, help="Other networks: draws of the null, groups exchanged among whole clusters."
    )

    def check(self) -> None:
        """Check the range of firing rates.

        Raises:
            ConfigError: If it is empty.
        """
        if self.min_firing >= self.max_firing:
            raise ConfigError(
                f"FeatureSurvey: min_firing ({self.min_firing}) must be below max_firing ({self.max_firing})"
            )

    def fingerprint(self) -> str:
        """Return with what it is measured, and how a SAELens folder is read where that is not as it always was."""
        return " ".join(filter(None, (super().fingerprint(), read_anew(self.path, several=True))))
