"""Directions: the activations of a place moved along one vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from paribus.arrays import Floats, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity, Steer
from paribus.errors import ConfigError
from paribus.factors import spec
from paribus.factors._vectors import bound_place, classes, edits_at, vectors
from paribus.measure.binding import Binding
from paribus.measure.design import Design
from paribus.measure.executor import Executor
from paribus.measure.factor import ActFactor
from paribus.measure.place import Place
from paribus.subspace.directions import find_direction, projected_sd, random_directions

UNLABELLED = {"pc": "first principal component", "random": "random direction", "given": "given direction"}
"""Methods that ask for no label or domain, and what their directions are called."""


@dataclass(frozen=True, eq=False)
class Moves(ActFactor):
    """Moves along a direction.

    Attributes:
        asked: The option.
        place: The bound place.
        rng: Folds of a probe.
        direction: The unit vector ``[k]``.
        sigma: The sd along it over the contexts fitted on.
    """

    asked: spec.Directions
    place: Place
    rng: np.random.Generator
    direction: Floats | None = None
    sigma: float = 1.0
    name: str = "direction"
    null_name: str = "random directions of the same norm"

    @property
    def doses(self) -> tuple[float, ...]:  # type: ignore[override]
        """The alphas, 0 first."""
        return (0.0, *(alpha for alpha in self.asked.alphas if alpha))

    @property
    def labels(self) -> tuple[str, ...]:  # type: ignore[override]
        """The alphas as text."""
        return tuple(f"{alpha:g}" for alpha in self.doses)

    @property
    def sites(self) -> tuple[str, ...]:  # type: ignore[override]
        """The site of the place."""
        return (str(self.place.site),)

    def fit(self, executor: Executor, rows: Ints) -> Moves:
        """Return the factor with direction and sd of contexts ``rows``.

        A direction of two classes leads from the first to the second; one of more, or of none, has no sign of its own:
        its largest entry is positive.
        """
        h = vectors(executor, self.place, rows)
        v = self._found(executor, h, rows)
        v = v / np.linalg.norm(v)
        return replace(self, direction=v, sigma=float(projected_sd(h, v)))

    def _found(self, executor: Executor, h: Floats, rows: Ints) -> Floats:
        method = self.asked.method
        if method == "given":
            return np.asarray(self.asked.values, dtype=np.float64)
        if method == "random":
            v = np.asarray(random_directions(1, h.shape[1], rng=self.rng)[0])
        elif method == "pc":
            v = np.asarray(np.linalg.svd(h - h.mean(0), full_matrices=False)[2][0])
        else:
            y = classes(executor, self.asked.target, rows)
            named = "between_domain_pc" if method == "between_pc" else method
            v = find_direction(named, h, y, clusters=executor.subject.cluster[rows], rng=self.rng)
            found = np.unique(y)
            if len(found) == 2:
                return v if (h[y == found[1]].mean(0) - h[y == found[0]].mean(0)) @ v >= 0 else -v
        return v if v[np.abs(v).argmax()] > 0 else -v

    def acts(self, columns: Ints) -> Sequence[Intervention]:
        """Return the moves."""
        if self.direction is None:
            raise ConfigError(f"factor {self.name}: must be fitted before it is used")
        return [Identity(), *(self.place.within(one, columns) for one in self._moves(self.direction[None]))]

    def _moves(self, directions: Floats) -> list[Intervention]:
        """Return moves by every alpha along each direction ``[n, k]``."""
        drawn = torch.from_numpy(directions).float()
        return [Steer(v, alpha * self.sigma) for alpha in self.doses[1:] for v in drawn]

    def null_design(self, n_null: int, rng: np.random.Generator) -> Design | None:
        """Return moves of the same length along random directions, the same ones for every level."""
        assert self.direction is not None
        drawn = random_directions(n_null, len(self.direction), rng=rng)
        return edits_at([(self.place, one) for one in self._moves(drawn)], self.null_name)


def bind(factor: spec.Directions, to: Binding) -> Moves:
    """Return the moves at a place.

    Raises:
        ConfigError: If it does not exist, or the vector given has another width.
    """
    place = bound_place(to.place, to.executor)
    width = len(place.channels) if place.channels is not None else to.executor.width(str(place.site))
    if factor.values and len(factor.values) != width:
        raise ConfigError(
            f"experiment.factor.values: {place} has {width} channels, the vector has {len(factor.values)}"
        )
    if factor.method not in UNLABELLED:
        classes(to.executor, factor.target, np.arange(len(to.executor.subject)))
    found = UNLABELLED.get(factor.method, f"{factor.method} of {factor.target}")
    return Moves(factor, place, to.rng, name=f"{found} at {to.place}")
