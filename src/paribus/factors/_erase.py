"""Erase: the linear information about label or domain removed at a place, by each of several erasers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from paribus.arrays import Floats, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import AffineErase, Identity, ProjectOut
from paribus.errors import ConfigError
from paribus.factors import spec
from paribus.factors._vectors import bound_place, classes, edits_at, vectors
from paribus.measure.binding import Binding
from paribus.measure.design import Design
from paribus.measure.executor import Executor
from paribus.measure.factor import ActFactor
from paribus.measure.place import Place
from paribus.subspace.bases import covariance_root, random_subspaces
from paribus.subspace.erasers import Eraser, fit_eraser
from paribus.subspace.moments import balance_weights

MATCHED = "random subspaces of the same rank drawn from the covariance"


@dataclass(frozen=True, eq=False)
class Erasures(ActFactor):
    """Erasers as levels.

    Attributes:
        asked: The option.
        place: The bound place.
        rng: Folds of probes.
        erasers: The fitted erasers, one for each level but the first.
        root: A matrix ``[m, d]`` with ``root.T @ root`` the covariance of what they were fitted on.
    """

    asked: spec.Erase
    place: Place
    rng: np.random.Generator
    erasers: tuple[Eraser, ...] = ()
    root: Floats | None = None
    name: str = "eraser"
    null_name: str = "random subspaces of the same rank"

    @property
    def labels(self) -> tuple[str, ...]:  # type: ignore[override]
        """``none``, then the erasers."""
        return ("none", *self.asked.methods)

    @property
    def sites(self) -> tuple[str, ...]:  # type: ignore[override]
        """The site of the place."""
        return (str(self.place.site),)

    def fit(self, executor: Executor, rows: Ints) -> Erasures:
        """Return the factor with erasers of contexts ``rows``."""
        subject, h = executor.subject, vectors(executor, self.place, rows)
        y = classes(executor, self.asked.target, rows)
        other = subject.label if self.asked.target == "domain" else subject.domain
        beside = None if other is None else np.asarray(other)[rows]
        weights = balance_weights(y, beside) if self.asked.fit_balance and beside is not None else None
        erasers = tuple(
            fit_eraser(method, h, y, beside, clusters=subject.cluster[rows], rng=self.rng, weights=weights)
            for method in self.asked.methods
        )
        return replace(self, erasers=erasers, root=covariance_root(h, weights))

    def acts(self, columns: Ints) -> Sequence[Intervention]:
        """Return the erasures."""
        if not self.erasers:
            raise ConfigError(f"factor {self.name}: must be fitted before it is used")
        return [Identity(), *(self.place.within(_edit(one), columns) for one in self.erasers)]

    def null_design(self, n_null: int, rng: np.random.Generator) -> Design | None:
        """Return projections of as many random dimensions, about the same center."""
        return self._random(n_null, "isotropic", self.null_name, rng)

    def further_nulls(self, n_null: int, rng: np.random.Generator) -> Mapping[str, Design]:
        """Return the same with subspaces drawn from the features' covariance, which hold as much of it as is usual."""
        design = self._random(n_null, "covariance", MATCHED, rng)
        return {} if design is None else {MATCHED: design}

    def _random(self, n_null: int, kind: str, name: str, rng: np.random.Generator) -> Design | None:
        edits: list[tuple[Place, Intervention]] = []
        for one in self.erasers:
            d = len(one.center)
            if not 1 <= one.rank < d:
                return None
            center = torch.from_numpy(one.center).float()
            for basis in random_subspaces(n_null, d, one.rank, kind=kind, rng=rng, root=self.root):
                edits.append((self.place, ProjectOut(torch.from_numpy(basis).float(), center)))
        return edits_at(edits, name)


def _edit(eraser: Eraser) -> Intervention:
    center = torch.from_numpy(eraser.center).float()
    if eraser.basis is not None:
        return ProjectOut(torch.from_numpy(np.ascontiguousarray(eraser.basis)).float(), center)
    return AffineErase(torch.from_numpy(eraser.removed()).float(), center)


def bind(factor: spec.Erase, to: Binding) -> Erasures:
    """Return the erasures at a place.

    Raises:
        ConfigError: If it does not exist, or nothing says what is kept.
        DataError: If the contexts have no such target.
    """
    place = bound_place(to.place, to.executor)
    classes(to.executor, factor.target, np.arange(len(to.executor.subject)))
    if "splince" in factor.methods and (factor.target != "domain" or to.executor.subject.label is None):
        raise ConfigError("experiment.factor.methods: splince takes the domain out and keeps the label; there is none")
    return Erasures(factor, place, to.rng, name=f"{factor.target} at {to.place}")
