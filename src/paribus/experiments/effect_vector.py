"""Effect vectors: the numbers of an experiment that validation recomputes on halves of the data or shuffled data."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from paribus.arrays import Floats, Ints
from paribus.experiments.base import Experiment, Recorder
from paribus.results.evidence import Evidence

if TYPE_CHECKING:
    import numpy as np

    from paribus.stats.clusters import ClusterSums
    from paribus.stats.spec import StatsSpec

LEAST_TESTED = 30
"""Contexts below which a level gets no test and no interval."""
FEW_CLUSTERS = 12
"""Clusters below which data are too few to be split into halves, or their signs flipped."""


@dataclass(frozen=True)
class EffectVector:
    """The numbers of an experiment that validation compares between halves of the data.

    Attributes:
        labels: Name of each entry.
        values: The entries ``[k]``.
        differences: For interventional vectors the paired differences they are means of ``[k, n]`` (NaN where not
            supported); None where they are not held, or for observational ones, which are recomputed from the
            activations.
        sums: The paired differences by cluster, one row per entry, where they are summed up block by block and never
            held; only clusters that support an entry.
        n_contexts: Contexts that it is from, where these are not all of the setup.
        about: Further text for results: which readout, of which contexts.

    Example:
        >>> import numpy as np
        >>> EffectVector(("low", "high"), np.array([0.1, 0.4])).paired
        False
    """

    labels: tuple[str, ...]
    values: Floats
    differences: Floats | None = None
    sums: ClusterSums | None = None
    n_contexts: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def paired(self) -> bool:
        """Whether its entries are means of paired differences."""
        return self.differences is not None or self.sums is not None


@dataclass(frozen=True)
class Promised:
    """What is known of an effect vector before anything is measured.

    Attributes:
        n_entries: The most entries it can have; None where only measuring tells.
        n_clusters: The most clusters it can be from.
        n_contexts: The most contexts an entry can rest on.
        signed: Whether its differences can be of either sign, so that signs can be flipped.
        complete: Whether its contexts are the whole population, so that there is no inference over them.

    Example:
        >>> Promised(n_entries=9, n_clusters=40, n_contexts=80).signed
        True
    """

    n_entries: int | None
    n_clusters: int
    n_contexts: int
    signed: bool = True
    complete: bool = False


@dataclass(frozen=True, kw_only=True)
class WithEffectVector(Experiment):
    """An experiment that declares an effect vector: its work has a function ``effect_vector(experiment, setup)``.

    Class attributes:
        vector_evidence: Evidence of the effect vector, where it is another than the type's own.
    """

    vector_evidence: ClassVar[Evidence | None] = None

    def effect_vector(self, setup: Any) -> EffectVector:
        """Return the vector that ``split_half`` and ``shuffle_null`` validate; the setup is a :class:`Validated`."""
        found: EffectVector = self.work_module().effect_vector(self, setup)
        return found

    def measured_vector(self, setup: Any, recorder: Recorder) -> EffectVector:
        """Return the vector from all of the data, and tell the recorder what every result must say."""
        setup.describe(recorder)
        return self.effect_vector(setup)

    def most_entries(self, setup: Any) -> int | None:
        """Return the most entries that its vector can have; None where only measuring tells.

        Where contexts are few, these are the entries that enough of them allow.

        Raises:
            ConfigError: If something that it names does not exist.
        """
        return None

    def most_contexts(self, setup: Any) -> int:
        """Return the most contexts that an entry can rest on."""
        return len(setup.contexts)

    def promised_vector(self, setup: Any) -> Promised | None:
        """Return what is known of the vector before anything is measured; None where contexts are chosen by that.

        Raises:
            ConfigError: If there can be no vector.
        """
        if setup.slicing.by_activation:
            return None
        n_clusters = len(set(setup.cluster.tolist()))
        return Promised(self.most_entries(setup), n_clusters, self.most_contexts(setup))

    @property
    def vector_is_paired(self) -> bool:
        """Whether the entries of its vector are means of paired differences."""
        return (self.vector_evidence or self.evidence) is Evidence.INTERVENTIONAL


@dataclass(frozen=True, kw_only=True)
class WithoutEffectVector(Experiment):
    """An experiment that cannot have an effect vector.

    Class attributes:
        no_vector: Why, in a sentence, and what to validate instead.
    """

    no_vector: ClassVar[str]


class Observed(Protocol):
    """What was measured of contexts as they are."""

    @property
    def f(self) -> Floats:
        """The activation ``[n]``."""

    @property
    def z(self) -> Floats:
        """The pre-activation ``[n]``."""


class Validated(Protocol):
    """What validation needs of a setup: contexts in clusters, and a way to replace the observed activations."""

    stats: StatsSpec

    @property
    def contexts(self) -> Sized:
        """The contexts under study."""

    @property
    def cluster(self) -> Ints:
        """What contexts share with others that are not independent of them ``[n]``."""

    @property
    def chosen(self) -> Ints:
        """Places of the contexts among all that were measured ``[n]``."""

    @property
    def corpus_measured(self) -> Observed:
        """The feature in all contexts, those outside the study too."""

    def rng(self, name: str) -> np.random.Generator:
        """Return the generator of the stream ``name``."""

    def restrict(self, rows: Ints) -> Self:
        """Return the same setup on some of its contexts."""

    def with_activations(self, f: Floats, z: Floats) -> Self:
        """Return the same setup with other observed activations of all contexts."""

    def describe(self, recorder: Recorder) -> None:
        """Tell the recorder what every result should carry."""
