"""Builds as the measurement layer knows them: contexts, legality, and what a set model is called with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paribus.arrays import Ints
from paribus.engine.given import Given
from paribus.engine.plan import agrees, difference, tolerance
from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.features.readable import Outputs, Readable
from paribus.measure.executor import Executor
from paribus.measure.subject import CHUNK_CELLS, Subject
from paribus.measure.watch import Watch
from paribus.subjects.builds.contexts import Contexts
from paribus.subjects.builds.enforcement import Constraints
from paribus.subjects.builds.factors import Family
from paribus.subjects.builds.models.set_model import SAE_SITE, SetModel
from paribus.subjects.builds.states import States
from paribus.subjects.builds.tokens import n_tokens, padded_ids, token_names
from paribus.subjects.builds.vocabulary import Vocabulary

WELL_SUPPORTED = 38
"""AP up to which a family can be set in 42 % of partial builds or more; 51 in 15 %."""


LOOKED_AT = 20
"""Contexts of which the first legal one is shown to a network that is new."""


class BuildSubject(Subject):
    """Token sets with a weapon; cells are :class:`~paribus.subjects.builds.states.States`.

    Attributes:
        contexts: The token sets.
        constraints: What edited states must satisfy.
        reads_source: Whether the model also reads the source build, so that equal sets of two sources differ.

    Example:
        >>> from paribus.subjects.builds.constraints import ConstraintsSpec
        >>> from paribus.subjects.builds.generated import BuildsGenerated
        >>> corpus = BuildsGenerated(n_builds=20).load()
        >>> subject = BuildSubject(corpus.contexts, Constraints(ConstraintsSpec(), corpus.vocabulary))
        >>> cells = subject.cells(np.arange(3))
        >>> [tuple(one.shape) for one in subject.inputs(cells).tensors][1]
        (3, 1)
    """

    name = "builds"

    def __init__(self, contexts: Contexts, constraints: Constraints, *, reads_source: bool = False) -> None:
        """Hold the contexts."""
        self.contexts, self.constraints, self.reads_source = contexts, constraints, reads_source
        self.cluster = contexts.cluster
        self.splits: Mapping[str, Ints] = {"all": np.arange(len(contexts))}
        self.output_names = self.vocabulary.tokens

    @property
    def vocabulary(self) -> Vocabulary:
        """What the codes mean."""
        return self.constraints.vocabulary

    def refuse_network(self, executor: Executor) -> None:
        """Refuse a network that does not score every token, or that reads what only fills a batch up.

        Raises:
            ConfigError: If it is one of these.
        """
        cells = self.enforce(self.cells(np.arange(min(len(self), LOOKED_AT))))
        shown = np.flatnonzero(cells.ok)
        if not len(shown):
            return
        alone, name = self.inputs(cells[shown[:1]]), type(executor.network).__name__
        ids, weapon, pad, *rest = alone.tensors
        filled = torch.full_like(ids[:, :1], self.vocabulary.pad_id)
        longer = (torch.cat([ids, filled], 1), weapon, torch.cat([pad, filled == filled], 1), *rest)
        own, padded = (executor.output_of(one) for one in (alone, Given(longer, alone.names)))
        if tuple(own.shape) != (1, len(self.vocabulary.tokens)):
            raise ConfigError(
                f"model: {name} gives the shape {tuple(own.shape)} for one build; it must score each of the "
                f"{len(self.vocabulary.tokens)} tokens"
            )
        if not agrees(padded, own, tolerance(executor.format, executor.device)):
            raise ConfigError(
                f"model: {name} gives another output for a padded build than for the same one alone (by "
                f"{difference(padded, own):.2g}); it must not read where the third input is true"
            )

    def cells(self, columns: Ints) -> States:
        """Return the contexts ``columns [b]`` as states, unedited."""
        return self.contexts.rows(columns).states()

    def enforce(self, cells: States, watch: Watch | None = None) -> States:
        """Take out states that break a hard constraint; counts and warnings go to ``watch``.

        States already checked stay as they are.

        Raises:
            ExperimentError: If a hard constraint is broken and ``constraints.on_violation`` is ``error``.
        """
        enforced = self.constraints.enforce(cells)
        if watch is not None:
            if enforced.violations:
                watch.diagnose(constraint_violations=enforced.violations)
            for warning in enforced.warnings:
                watch.warn(warning)
        return enforced.states

    def keys(self, cells: States) -> np.ndarray:
        """Return the codes of states ``[m]`` as whole numbers, with the source build where the model reads it."""
        words = np.ascontiguousarray(cells.codes).view(np.int64)
        return np.concatenate([words, cells.source[:, None]], axis=1) if self.reads_source else words

    def cost(self, cells: States) -> Ints:
        """Return the number of tokens of each state: sets of like length share a batch."""
        return n_tokens(cells.codes)

    def inputs(self, cells: States) -> Given:
        """Return what the network reads of states ``[m]``: ids, weapon, padding mask (and source build)."""
        ids, pad = padded_ids(cells.codes, self.vocabulary)
        arrays: list[Any] = [ids, cells.codes[:, -1:].astype(np.int64), pad]
        if self.reads_source:
            arrays.append(np.array(cells.source))  # a copy: it may be a view that cannot be written to
        return Given(tuple(torch.from_numpy(one) for one in arrays), (None,) * len(arrays))

    def vectors(self, value: Tensor, inputs: Given, site: Site, network: nn.Module) -> Tensor:
        """Return ``[m, d]``: the value itself, or its mean over real tokens (over all, where they are no tokens).

        Raises:
            ConfigError: If the value holds no vector of units.
        """
        if value.ndim < 2:
            raise ConfigError(f"site {site}: it holds no vector of units in this model")
        if value.ndim == 2:
            return value
        pad = inputs.tensors[2]
        if value.ndim == 3 and value.shape[1] == pad.shape[1]:
            real = (~pad).to(value.dtype).unsqueeze(-1)
            return (value * real).sum(1) / real.sum(1).clamp_min(1.0)
        return value.flatten(1, -2).mean(1)

    def usual_factors(self, most_levels: int) -> list[Family]:
        """Return every ability family, at rungs evenly spread up to one that about half of all builds allow."""
        found = []
        for family in self.vocabulary.families():
            every = self.vocabulary.family_rungs(family)
            known = [rung for rung in every if rung <= WELL_SUPPORTED] or every[:1]
            spread = np.linspace(0, len(known) - 1, min(len(known), most_levels - 1)).round().astype(int)
            found.append(Family(family=family.name, rungs=[known[one] for one in dict.fromkeys(spread.tolist())]))
        return found

    def words(self, columns: Ints) -> list[str]:
        """Return the ability tokens of each build."""
        return [" ".join(token_names(codes, self.vocabulary)) for codes in self.contexts.codes[columns]]

    def blocks(self, n_conditions: int) -> list[Ints]:
        """Return contexts in blocks of bounded size; with several, like contexts come together, to be run once."""
        size = max(1, CHUNK_CELLS // max(1, n_conditions))
        if len(self) <= size:
            return [np.arange(len(self))]
        order = np.lexsort(np.ascontiguousarray(self.contexts.codes).view(np.int64).T)
        return [order[start : start + size] for start in range(0, len(order), size)]


class Tokens(Outputs):
    """The outputs for ability tokens, in canonical order; found by any name that the vocabulary knows.

    Example:
        >>> Tokens(Vocabulary.default()).find("SSU_57") == len(Vocabulary.default().ability_tokens) - 1
        True
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Take the ability tokens of a vocabulary."""
        names = vocabulary.ability_tokens
        super().__init__(names, vocabulary.ability_ids)
        self._vocabulary = vocabulary

    def find(self, name: str) -> int:
        """Return the place of a token.

        Raises:
            ConfigError: If the vocabulary has no such token.
        """
        return self.names.index(self._vocabulary.token_name(self._vocabulary.token(name)))


def readable(model: SetModel, executor: Executor, vocabulary: Vocabulary) -> Readable:
    """Return a set model as features read it: outputs by token, and its autoencoder before the last layer."""
    return Readable(
        executor,
        outputs=Tokens(vocabulary),
        autoencoders={} if model.sae is None else {SAE_SITE: model.sae},
        latent_names=model.feature_names,
        usual_site=SAE_SITE,
        name=model.name,
    )
