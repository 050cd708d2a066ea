"""What split-half and shuffle-null share: the experiment that they validate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.config import catalogue
from paribus.errors import ConfigError
from paribus.experiments.base import ANY, Experiment
from paribus.experiments.effect_vector import FEW_CLUSTERS, LEAST_TESTED, WithEffectVector, WithoutEffectVector
from paribus.results.evidence import Evidence
from paribus.spec import field

LEAST_ENTRIES = 6
"""Entries that a vector must have to be judged."""
FOLLOWED = ("subject", "subjects", "may_lack", "requires")
"""What a validation takes over from its target, besides evidence and version."""


@dataclass(frozen=True, kw_only=True)
class Validation(Experiment):
    """Base of the experiments that validate another one; evidence, version and subject follow their target."""

    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    subject: ClassVar[str] = "builds"
    subjects: ClassVar[tuple[str, ...]] = (ANY,)
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "feature", "slice", "constraints", "stats")
    takes_dtype: ClassVar[bool] = True
    flips_signs: ClassVar[bool] = False

    target: Any = field(help="The experiment to validate: experiment@experiment.target=TYPE, and its variables.")

    def check(self) -> None:
        """Check that the target declares an effect vector.

        Raises:
            ConfigError: If it is no experiment, or declares none.
        """
        name = getattr(self.target, "type", type(self.target).__name__)
        if isinstance(self.target, WithoutEffectVector):
            raise ConfigError(f"{type(self).__name__}.target: {name} has no effect vector: {self.target.no_vector}")
        if not declares_vector(type(self.target)):
            raise ConfigError(
                f"{type(self).__name__}.target: {name} declares no effect vector, so there is nothing to validate; "
                f"valid: {', '.join(declaring())}"
            )
        # What the numbers claim, what they mean and what they are about depends on the target.
        object.__setattr__(self, "evidence", self.target.vector_evidence or self.target.evidence)
        object.__setattr__(self, "version", 1000 * type(self).version + self.target.version)
        for one in FOLLOWED:
            object.__setattr__(self, one, getattr(self.target, one))

    def validate(self, setup: Any) -> None:
        """Look up what the target names, and whether its vector can have enough entries.

        Raises:
            ConfigError: If something does not exist, or entries or clusters are too few.
        """
        self.target.validate(setup)
        promised = self.target.promised_vector(setup)
        most = self.target.most_entries(setup) if promised is None else promised.n_entries
        if promised is not None and self.target.vector_is_paired and promised.n_contexts < LEAST_TESTED:
            raise ConfigError(
                f"experiment.target: {promised.n_contexts} contexts are reported, and an entry needs {LEAST_TESTED}; "
                f"{more_contexts(self.target)}"
            )
        if most is not None and most < LEAST_ENTRIES:
            raise ConfigError(few_entries(self.target, most))
        if promised is None:
            return
        if promised.complete:
            raise ConfigError(
                f"{self.type}: the {promised.n_contexts} contexts of {self.target.type} are all there are, so that "
                "their halves and signs are no sample; compare several trainings, or draw some of them with "
                "experiment.target.n_contexts"
            )
        if promised.n_clusters < FEW_CLUSTERS:
            raise ConfigError(few_clusters(self, promised.n_clusters, clusters_called(self.target)))
        if self.flips_signs and not promised.signed:
            raise ConfigError(
                f"{self.type}: signs are flipped, and a divergence (readout=kl) is never below 0, so any effect would "
                "stand out; choose another readout with experiment.target.readout"
            )


def declares_vector(kind: type) -> bool:
    """Return whether an experiment class declares an effect vector."""
    return issubclass(kind, WithEffectVector)


def declaring() -> list[str]:
    """Return the names of all shipped types that declare an effect vector, sorted."""
    types = (option.load() for option in catalogue.options("experiment"))
    return sorted(kind.type for kind in types if issubclass(kind, Experiment) and declares_vector(kind))


def clusters_called(target: Experiment) -> str:
    """Return what the clusters of a target's contexts are called."""
    return "clusters" if target.subject == ANY else "source builds"


def more_contexts(target: Experiment) -> str:
    """Return how a target gets more contexts."""
    if target.subject == ANY:
        return "raise experiment.target.n_contexts or name another split"
    return "give more builds, a wider slice, or more of them to experiment.target"


def few_entries(target: Experiment, n: int) -> str:
    """Return why so few entries are refused."""
    return (
        f"experiment.target: the effect vector of {target.type} has {n} entries that can be judged, and at least "
        f"{LEAST_ENTRIES} are needed; ask it for more conditions, or give more contexts"
    )


def few_clusters(experiment: Experiment, n: int, called: str) -> str:
    """Return why so few clusters are refused."""
    return f"{experiment.type}: {n} {called} are too few; at least {FEW_CLUSTERS} are needed"
