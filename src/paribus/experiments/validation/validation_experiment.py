"""What split-half and shuffle-null share: the experiment that they validate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.config import catalogue
from paribus.errors import ConfigError
from paribus.experiments.base import Experiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.effect_vector import Validated


@dataclass(frozen=True, kw_only=True)
class Validation(Experiment):
    """Base of the experiments that validate another one; evidence and version follow their target."""

    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    subject: ClassVar[str] = "builds"
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "feature", "slice", "constraints", "stats")
    takes_dtype: ClassVar[bool] = True

    target: Any = field(help="The experiment to validate: experiment@experiment.target=TYPE, and its variables.")

    def check(self) -> None:
        """Check that the target declares an effect vector.

        Raises:
            ConfigError: If it is no experiment on builds, or declares none.
        """
        if not declares_vector(type(self.target)):
            name = getattr(self.target, "type", type(self.target).__name__)
            raise ConfigError(
                f"{type(self).__name__}.target: {name} declares no effect vector, so there is nothing to validate; "
                f"valid: {', '.join(declaring())}"
            )
        # What the numbers claim, and what they mean, depends on the target.
        object.__setattr__(self, "evidence", self.target.vector_evidence or self.target.evidence)
        object.__setattr__(self, "version", 1000 * type(self).version + self.target.version)

    def validate(self, setup: Validated) -> None:
        """Look up what the target names.

        Raises:
            ConfigError: If something does not exist.
        """
        self.target.validate(setup)


def declares_vector(kind: type) -> bool:
    """Return whether an experiment class declares an effect vector."""
    return issubclass(kind, WithEffectVector)


def declaring() -> list[str]:
    """Return the names of all shipped types that declare an effect vector, sorted."""
    types = (option.load() for option in catalogue.options("experiment"))
    return sorted(kind.type for kind in types if issubclass(kind, Experiment) and declares_vector(kind))
