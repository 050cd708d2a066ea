"""Effect vectors: the numbers of an experiment that validation computes again, on halves or on shuffled data."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from paribus.arrays import Floats, Ints
from paribus.experiments.base import Experiment, Recorder
from paribus.results.evidence import Evidence

if TYPE_CHECKING:
    import numpy as np

    from paribus.stats.spec import StatsSpec

LEAST_TESTED = 30
"""Contexts below which a level gets no test and no interval."""


@dataclass(frozen=True)
class EffectVector:
    """The numbers of an experiment that validation compares between halves of the data.

    Attributes:
        labels: Name of each entry.
        values: The entries ``[k]``.
        differences: For interventional vectors the paired differences they are means of ``[k, n]`` (NaN where not
            supported); None for observational ones, which are recomputed from the activations.
    """

    labels: tuple[str, ...]
    values: Floats
    differences: Floats | None = None


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


class Observed(Protocol):
    """What was measured of contexts as they are."""

    @property
    def f(self) -> Floats:
        """The activation ``[n]``."""

    @property
    def z(self) -> Floats:
        """The pre-activation ``[n]``."""


class Validated(Protocol):
    """What validation asks of a setup: contexts in clusters, and other activations in the place of those observed."""

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
