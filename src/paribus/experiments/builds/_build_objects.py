"""Shared by all experiments on builds: the loaded objects, and what is looked up in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from paribus.arrays import Floats, Ints
from paribus.errors import ConfigError
from paribus.experiments.base import Setup
from paribus.subjects.builds.constraints import Constraints, ConstraintsSpec, pairs_seen
from paribus.subjects.builds.contexts import Corpus
from paribus.subjects.builds.edits import Edits
from paribus.subjects.builds.slices import SliceSpec

if TYPE_CHECKING:
    from paribus.features.readers.population import Reader
    from paribus.subjects.builds.models.set_model import SetModel
    from paribus.subjects.builds.readers.evaluator import Evaluator
    from paribus.subjects.builds.vocabulary import Vocabulary
    from paribus.subjects.builds.weapons import Weapons


@dataclass(kw_only=True)
class BuildObjects(Setup):
    """The loaded objects of an experiment on builds.

    Attributes:
        corpus: All contexts (unsliced), vocabulary, weapons.
        model: The set model, with its autoencoder.
        feature: Spec of the feature (``reader(model, vocabulary, generator)``); None for training experiments.
        slicing: Which contexts experiments work on.
        constraint_spec: What edited states must satisfy.
        activations: f and z of the whole corpus ``[2, n]`` where they are given, not measured (shuffle nulls).
        rows: Rows of the corpus to work on, overriding ``slicing``.
    """

    corpus: Corpus
    model: SetModel
    feature: Any = None
    slicing: SliceSpec = field(default_factory=SliceSpec)
    constraint_spec: ConstraintsSpec = field(default_factory=ConstraintsSpec)
    activations: Floats | None = None
    rows: Ints | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """Token vocabulary."""
        return self.corpus.vocabulary

    @property
    def weapons(self) -> Weapons:
        """Weapon vocabulary, with kits."""
        return self.corpus.weapons

    @cached_property
    def edits(self) -> Edits:
        """The edits of this vocabulary."""
        return Edits(self.vocabulary, self.weapons)

    @cached_property
    def constraints(self) -> Constraints:
        """The constraints of this corpus."""
        needed = self.constraint_spec.avoid_ood_token_combinations != "off"
        seen = pairs_seen(self.corpus.contexts.codes) if needed else None
        return Constraints(self.constraint_spec, self.vocabulary, seen)

    @cached_property
    def reader(self) -> Reader:
        """The feature under study.

        Raises:
            ConfigError: If no feature is chosen, or the model has no such feature.
        """
        if self.feature is None:
            raise ConfigError("no feature chosen; say for instance feature=latent feature.id=0")
        if not hasattr(self.feature, "reader"):
            raise ConfigError("feature: its _target_ must be a Spec with a reader(model, vocabulary, generator) method")
        reader: Reader = self.feature.reader(self.model, self.vocabulary, self.torch_rng("feature"))
        return reader

    @property
    def feature_name(self) -> str | None:
        """Name of the feature, for results; None for training experiments."""
        return None if self.feature is None else self.reader.name

    @cached_property
    def evaluator(self) -> Evaluator:
        """Runs the model at the feature's site."""
        from paribus.subjects.builds.models.set_model import SAE_SITE
        from paribus.subjects.builds.readers.evaluator import Evaluator

        site = SAE_SITE if self.feature is None else self.reader.site
        return Evaluator(
            self.model, self.vocabulary, site, device=self.device, dtype=self.dtype, batch_limit=self.batch_limit
        )
