"""Factors and units: what is varied, bound to a subject; each becomes the conditions of a design."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.engine.parts import Chain
from paribus.errors import ConfigError
from paribus.measure.design import Design

if TYPE_CHECKING:
    from paribus.measure.executor import Executor
    from paribus.measure.subject import Subject

ALIKE = 20
"""A unit of a null set is drawn among this many units nearest in size."""


class Factor(ABC):
    """What is varied and its levels, the baseline first.

    Attributes:
        name: What it is called.
        labels: Names of the levels.
        doses: The levels as numbers, where they are amounts; None where they are kinds.
        null_name: What its null conditions are (``random directions of the same norm``); empty where it has none.

    Example:
        >>> from paribus.engine.interventions import Steer
        >>> import torch
        >>> class Push(ActFactor):
        ...     name, labels, sites = "push", ("0", "1"), ("0",)
        ...     def acts(self, columns):
        ...         return [Identity(), Steer(torch.ones(3), 1.0)]
        >>> push = Push()
        >>> push.n_levels, push.null_design(10, np.random.default_rng(0)) is None
        (2, True)
    """

    name: str
    labels: tuple[str, ...]
    doses: tuple[float, ...] | None = None
    null_name: str = ""

    @property
    def n_levels(self) -> int:
        """How many levels there are, the baseline included."""
        return len(self.labels)

    def fit(self, executor: Executor, rows: Ints) -> Factor:
        """Return the factor fitted on contexts ``rows`` of one checkpoint (its directions, means, donors).

        What is fitted never sees the contexts that are reported. By default nothing is.
        """
        return self

    @abstractmethod
    def design(self) -> Design:
        """Return its levels as conditions."""

    def null_design(self, n_null: int, rng: np.random.Generator) -> Design | None:
        """Return the conditions of the null: the baseline, then ``n_null`` for each level after it, level by level.

        None where the factor has no null of its own kind.
        """
        return None

    def further_nulls(self, n_null: int, rng: np.random.Generator) -> Mapping[str, Design]:
        """Return nulls of other kinds, by what they are, laid out as :meth:`null_design`; by default none."""
        return {}

    def observed(self, columns: Ints) -> Ints | None:
        """Return the level that contexts ``columns [b]`` show as they are (-1: none of them); None if not known."""
        return None


class InputFactor(Factor):
    """A factor that changes what the network is given.

    Example:
        >>> from paribus.measure.cells import stack
        >>> class Add(InputFactor):
        ...     name, labels, doses = "add", ("0", "1"), (0.0, 1.0)
        ...     def edit(self, cells):
        ...         return stack([cells.with_value(0, cells.values[0] + dose) for dose in self.doses])
        >>> Add().design().n_conditions
        2
    """

    @abstractmethod
    def edit(self, cells: Any) -> Any:
        """Return cells ``[b]`` at every level ``[levels, b]``."""

    def design(self) -> Design:
        """Return its levels as levels of the inputs."""
        return Design(self.edit, self.n_levels, description=self.name)


class ActFactor(Factor):
    """A factor that changes activations.

    Attributes:
        sites: Where: one site, or several that are edited in one pass.

    Example:
        >>> from paribus.engine.interventions import Steer
        >>> import torch
        >>> class Push(ActFactor):
        ...     name, labels, sites = "push", ("0", "1"), ("0",)
        ...     def acts(self, columns):
        ...         return [Identity(), Steer(torch.ones(3), 1.0)]
        >>> Push().design().n_acts
        2
    """

    sites: tuple[str, ...]

    @abstractmethod
    def acts(self, columns: Ints) -> Sequence[Intervention]:
        """Return the intervention of every level on contexts ``columns [b]``; the first does nothing."""

    def design(self) -> Design:
        """Return its levels as acts."""
        return Design(acts=self.acts, n_acts=self.n_levels, sites=self.sites, description=self.name)


class Units(ABC):
    """Parts of a context or of a network that are present or removed, as ablation, interactions and cores need them.

    Attributes:
        name: What they are called together.
        names: Names of the units ``[k]``.
        null_name: What the sets of the null are (``random units of like activation``).
    """

    name: str
    names: tuple[str, ...]
    null_name: str = "random sets of other units"

    @property
    def where(self) -> Mapping[str, Sequence[int]]:
        """The coordinates of each unit by name (``layer``, ``head``), the axes of a heat map; none by default."""
        return {}

    def fit(self, executor: Executor, rows: Ints) -> Units:
        """Return the units fitted on contexts ``rows`` of one checkpoint (what a removed one is set to)."""
        return self

    def check_rows(self, subject: Subject, reported: Ints, fit: Ints) -> None:
        """Refuse contexts that are reported whose units cannot be removed with what ``fit`` gives; by default none.

        Raises:
            DataError: If there are such contexts.
        """
        return

    def pool(self) -> tuple[Units, Ints, Floats]:
        """Return the units that null sets are drawn from ``[K]``, the place of each own one there, and their sizes.

        Sizes ``[K]`` say which units are alike. By default the units themselves, all alike.
        """
        k = len(self.names)
        return self, np.arange(k), np.zeros(k)

    def like(self, off: Bools, n_null: int, rng: np.random.Generator) -> list[Ints]:
        """Return for each set of units ``off [m, k]`` random ones of the pool: ``[n, members]`` each, ``n <= n_null``.

        A set has as many units, none of the set's own, each drawn among those nearest in size to the one it stands for.
        Equal sets are kept: they are draws. A set with too few others has none.

        Example:
            >>> class Three(Units):
            ...     name, names = "three", ("a", "b", "c")
            ...     def design(self, on):
            ...         return Design()
            >>> found = Three().like(np.array([[True, False, False]]), 50, np.random.default_rng(0))
            >>> sorted(set(found[0].ravel().tolist()))
            [1, 2]
        """
        _, own, sizes = self.pool()
        found = []
        for row in off:
            members = own[np.flatnonzero(row)]
            others = np.setdiff1d(np.arange(len(sizes)), members)
            if not len(members) or len(others) < len(members):
                found.append(np.empty((0, len(members)), np.int64))
                continue
            draws = np.empty((n_null, len(members)), np.int64)
            for draw in draws:
                left = others
                for place, member in enumerate(members):
                    near = left[np.argsort(np.abs(sizes[left] - sizes[member]), kind="stable")[:ALIKE]]
                    draw[place] = rng.choice(near if np.ptp(sizes) > 0 else left)
                    left = left[left != draw[place]]
            found.append(draws)
        return found

    def present(self, columns: Ints) -> Bools:
        """Return which units contexts ``columns [b]`` have ``[k, b]``; by default all."""
        return np.ones((len(self.names), len(columns)), bool)

    @abstractmethod
    def design(self, on: Bools) -> Design:
        """Return one condition for each row of ``on [m, k]``: the units that stay; all others are removed."""


class InputUnits(Units):
    """Units of the input: tokens of a set, columns of a table, patches of an image.

    Example:
        >>> class Columns(InputUnits):
        ...     name, names = "columns", ("age", "weight")
        ...     def keep(self, cells, on):
        ...         raise NotImplementedError
        >>> Columns().design(np.array([[True, True], [True, False]])).n_levels
        2
    """

    @abstractmethod
    def keep(self, cells: Any, on: Bools) -> Any:
        """Return cells ``[b]`` with only the units of each row of ``on [m, k]``, ``[m, b]``."""

    def design(self, on: Bools) -> Design:
        """Return the masks as levels of the inputs."""
        return Design(lambda cells: self.keep(cells, on), len(on), description=self.name)


class ActUnits(Units):
    """Units of the network: channels, heads, latents.

    Attributes:
        sites: Where they are.

    Example:
        >>> from paribus.engine.interventions import AblateUnits
        >>> class Channels(ActUnits):
        ...     name, names, sites = "channels", ("0", "1"), ("0",)
        ...     def remove(self, off, columns):
        ...         return AblateUnits(np.flatnonzero(off))
        >>> design = Channels().design(np.array([[True, True], [True, False]]))
        >>> [type(act).__name__ for act in design.acts_on(np.arange(4))]
        ['Identity', 'AblateUnits']
    """

    sites: tuple[str, ...]

    @abstractmethod
    def remove(self, off: Bools, columns: Ints) -> Intervention:
        """Return the intervention that removes the units ``off [k]`` in contexts ``columns [b]``."""

    def design(self, on: Bools) -> Design:
        """Return the masks as acts."""

        def acts(columns: Ints) -> Sequence[Intervention]:
            return [Identity() if row.all() else self.remove(~row, columns) for row in on]

        return Design(acts=acts, n_acts=len(on), sites=self.sites, description=self.name)


def of_like_strata(off: Bools, strata: np.ndarray, able: Bools, n_null: int, rng: np.random.Generator) -> list[Ints]:
    """Return for each set of units random ones with as many of each stratum ``[n_null, members]``, or none.

    Args:
        off: The sets ``[m, k]``.
        strata: The stratum of each unit ``[k]``.
        able: Units that may be drawn; those of a set itself are not ``[k]``.
        n_null: Random sets for each.
        rng: Draws them.
    """
    found = []
    for row in off:
        wanted = zip(*np.unique(strata[row], return_counts=True), strict=True)
        pools = [(np.flatnonzero((strata == one) & able & ~row), int(n)) for one, n in wanted]
        if not pools or any(len(pool) < n for pool, n in pools):
            found.append(np.empty((0, int(row.sum())), np.int64))
            continue
        draws = [np.concatenate([rng.choice(pool, n, replace=False) for pool, n in pools]) for _ in range(n_null)]
        found.append(np.array(draws))
    return found


def crossed(one: Factor, other: Factor) -> Design:
    """Return all combinations of two factors' levels as conditions, those of ``other`` going fastest.

    Raises:
        ConfigError: If both edit activations at different places, which is a design of one factor over both.

    Example:
        >>> from paribus.engine.interventions import Steer
        >>> import torch
        >>> class Push(ActFactor):
        ...     name, labels, sites = "push", ("0", "1"), ("0",)
        ...     def acts(self, columns):
        ...         return [Identity(), Steer(torch.ones(3), 1.0)]
        >>> crossed(Push(), Push()).n_conditions
        4
    """
    n, name = one.n_levels * other.n_levels, f"{one.name} x {other.name}"
    if isinstance(one, InputFactor) and isinstance(other, InputFactor):
        first, second = one, other

        def edit(cells: Any) -> Any:
            outer = first.edit(cells)
            inner = second.edit(outer)  # [other, one, b]
            order = np.arange(n).reshape(second.n_levels, first.n_levels).T.ravel()
            return flattened(inner)[order]

        return Design(edit, n, description=name)
    if isinstance(one, InputFactor) and isinstance(other, ActFactor):
        return Design(one.edit, one.n_levels, other.acts, other.n_levels, other.sites, name)
    if isinstance(one, ActFactor) and isinstance(other, ActFactor) and one.sites == other.sites:
        before, after = one, other

        def acts(columns: Ints) -> Sequence[Intervention]:
            return [Chain((a, b)) for a in before.acts(columns) for b in after.acts(columns)]

        return Design(acts=acts, n_acts=n, sites=one.sites, description=name)
    raise ConfigError(
        f"factors {one.name} and {other.name}: give the one that edits inputs first; two that edit activations must be "
        "at the same place"
    )


def flattened(cells: Any) -> Any:
    """Return cells ``[m, levels, b]`` as ``[m * levels, b]``."""
    m, levels, _ = cells.shape
    index = np.arange(m * levels)
    return cells[index // levels, index % levels]
