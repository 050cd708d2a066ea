"""Patch: the value that another context has at a place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from paribus.arrays import Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.engine.replacements import Graft
from paribus.errors import DataError
from paribus.factors import spec
from paribus.factors._alike import refuse_uneven, sizes_at
from paribus.factors._vectors import bound_place
from paribus.measure.binding import Binding
from paribus.measure.design import Design
from paribus.measure.executor import Executor
from paribus.measure.factor import ActFactor
from paribus.measure.place import Place
from paribus.measure.subject import Subject


@dataclass(frozen=True, eq=False)
class Patches(ActFactor):
    """One patch, as two levels.

    Attributes:
        executor: Gives the donors' values.
        place: The bound place.
        donors: The context each context gets its value from ``[n_contexts]``; -1 where there is none.
        unrelated: Contexts that donors at random are drawn from.
        name: The place as it was asked for.
    """

    executor: Executor
    place: Place
    donors: Ints
    unrelated: Ints
    name: str
    labels: tuple[str, ...] = ("as it is", "patched")
    null_name: str = "donors at random"

    def parts(self, executor: Executor, rows: Ints) -> tuple[Patches, ...]:
        """Return the patches that a row each is made of; ``rows`` are the contexts that may be fitted on."""
        return (self,)

    @property
    def sites(self) -> tuple[str, ...]:  # type: ignore[override]
        """The site of the place."""
        return (str(self.place.site),)

    def acts(self, columns: Ints) -> Sequence[Intervention]:
        """Return the patch of contexts ``columns``."""
        return [Identity(), *self._grafts(self.donors[columns][None], columns)]

    def null_design(self, n_null: int, rng: np.random.Generator) -> Design | None:
        """Return patches with donors at random, another one for every context and draw."""
        drawn = self._unrelated(n_null, rng)

        def acts(columns: Ints) -> Sequence[Intervention]:
            return [Identity(), *self._grafts(drawn[:, columns], columns)]

        return Design(acts=acts, n_acts=n_null + 1, sites=self.sites, description=self.null_name)

    def _unrelated(self, n_null: int, rng: np.random.Generator) -> Ints:
        """Return donors at random ``[n_null, n_contexts]``, with as many positions at the place as the context."""
        sizes = sizes_at(self.place, self.executor.subject)
        if sizes is None:
            return np.asarray(rng.choice(self.unrelated, (n_null, len(self.donors))))
        drawn = np.empty((n_null, len(sizes)), np.int64)
        for size in np.unique(sizes):
            alike = self.unrelated[sizes[self.unrelated] == size]
            own = np.flatnonzero(sizes == size)
            drawn[:, own] = rng.choice(alike if len(alike) else own, (n_null, len(own)))
        return drawn

    def _grafts(self, donors: Ints, columns: Ints) -> list[Intervention]:
        """Return one graft into ``columns [b]`` for each row of ``donors [m, b]``; every donor is run once."""
        found = list(self._donated(donors, columns))
        channels = torch.arange(found[0].shape[1] if found else 0)
        return [self.place.within(Graft(channels, values), columns) for values in found]

    def _donated(self, donors: Ints, columns: Ints) -> Iterator[Tensor]:
        """Yield what each row of ``donors [m, b]`` gives to ``columns [b]``: ``[b, k, *positions]``."""
        some, where = np.unique(donors, return_inverse=True)
        if some[0] < 0:
            raise DataError(f"patch at {self.name}: a context has no donor")
        values: Tensor = self.place.part(self.executor.values(self.sites[0], some), some)
        for row in where.reshape(donors.shape):
            yield values[torch.from_numpy(row)]


def bind(factor: spec.Patch, to: Binding) -> Patches:
    """Return the patch at a place, donors drawn.

    Raises:
        ConfigError: If the place or the split does not exist.
        DataError: If contexts have no label or domain, or no other one.
    """
    place = bound_place(to.place, to.executor)
    subject = to.executor.subject
    donors = _donors(factor, subject, to.rng)
    refuse_uneven(place, np.flatnonzero(donors >= 0), donors[donors >= 0], subject)
    return Patches(to.executor, place, donors, np.arange(len(subject)), name=to.place)


def _donors(factor: spec.Patch, subject: Subject, rng: np.random.Generator) -> Ints:
    n = len(subject)
    every = np.arange(n)
    if factor.donors == "split":
        return _paired(str(factor.split), subject)
    if factor.donors == "any":
        return np.asarray((every + rng.integers(1, max(2, n), n)) % n)
    known = subject.label if factor.donors == "other_label" else subject.domain
    if known is None:
        raise DataError(
            f"experiment.factor.donors={factor.donors}: these {subject.name} have no "
            f"{factor.donors.removeprefix('other_')}"
        )
    y = np.asarray(known)
    if len(np.unique(y)) < 2:
        raise DataError(f"experiment.factor.donors={factor.donors}: all contexts have the same one")
    donors = np.empty(n, np.int64)
    for one in np.unique(y):
        mine = y == one
        donors[mine] = rng.choice(np.flatnonzero(~mine), int(mine.sum()))
    return donors


def _paired(split: str, subject: Subject) -> Ints:
    there = subject.rows_of(split, "factor.split")
    donors = np.full(len(subject), -1, np.int64)
    for name, rows in subject.splits.items():
        if name != split and len(rows) == len(there):
            donors[rows] = there
    return donors
