"""What split-half and shuffle-null share: the target, its effect vector, and shuffled activations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.arrays import Ints
from paribus.config import catalogue
from paribus.errors import ConfigError
from paribus.experiments.base import Experiment
from paribus.experiments.builds.build_experiment import LEAST_TESTED, BuildExperiment
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paribus.experiments.builds.build_experiment import EffectVector
    from paribus.experiments.builds.setup import BuildSetup


LEAST_ENTRIES = 6


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

    def validate(self, setup: BuildSetup) -> None:
        """Look up what the target names.

        Raises:
            ConfigError: If something does not exist.
        """
        look_up = getattr(self.target, "validate", None)
        if look_up is not None:
            look_up(setup)

    def usable_vector(self, setup: BuildSetup) -> tuple[EffectVector, Ints]:
        """Return the target's vector, and the places of the entries that can be judged.

        Entries that stand on fewer than 30 contexts are left out: their noise would drown the others'.

        Raises:
            ConfigError: If fewer than six are left.
        """
        import numpy as np

        vector: EffectVector = self.target.effect_vector(setup)
        usable = np.isfinite(vector.values)
        if vector.differences is not None:
            usable &= (~np.isnan(vector.differences)).sum(1) >= LEAST_TESTED
        kept = np.flatnonzero(usable)
        if len(kept) < LEAST_ENTRIES:
            raise ConfigError(
                f"experiment.target: the effect vector of {self.target.type} has {len(kept)} usable entries "
                f"(of {len(vector.values)}), and at least {LEAST_ENTRIES} are needed; ask it for more conditions"
            )
        return vector, kept


def declares_vector(kind: type) -> bool:
    """Return whether an experiment class declares an effect vector of its own."""
    return issubclass(kind, BuildExperiment) and kind.effect_vector is not BuildExperiment.effect_vector


def declaring() -> list[str]:
    """Return the names of all shipped types that declare an effect vector, sorted."""
    types = (option.load() for option in catalogue.options("experiment"))
    return sorted(kind.type for kind in types if issubclass(kind, Experiment) and declares_vector(kind))


def lean(setup: BuildSetup) -> BuildSetup:
    """Return the setup with the fewest resamples: a vector is recomputed many times, and only its values count."""
    import numpy as np

    other = setup.restrict(np.arange(len(setup.contexts)))
    other.stats = replace(setup.stats, n_bootstrap=100, n_permutations=99)
    return other


def shuffled(setup: BuildSetup, n: int, stream: str) -> Iterator[BuildSetup]:
    """Yield the setup with activations shuffled among the chosen contexts, whole source builds at a time.

    Builds change places with others of the same number of contexts; activations outside the slice stay.
    """
    from paribus.stats.blocks import block_permutations

    whole = setup.corpus_measured
    for chunk in block_permutations(setup.cluster, n, setup.rng(stream)):
        for order in chunk:
            f, z = whole.f.copy(), whole.z.copy()
            f[setup.chosen], z[setup.chosen] = f[setup.chosen][order], z[setup.chosen][order]
            yield setup.with_activations(f, z)


def n_exchangeable(setup: BuildSetup) -> int:
    """Return how many source builds can change places with another one."""
    from paribus.stats.blocks import exchangeable_blocks

    return sum(len(rows) for rows in exchangeable_blocks(setup.cluster) if len(rows) > 1)
