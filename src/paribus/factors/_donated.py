"""Places as units, each of which keeps its value or is given that of the context's counterpart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from paribus.arrays import Bools, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.engine.parts import Chain, Together
from paribus.engine.replacements import Graft
from paribus.errors import ConfigError, DataError, size_of
from paribus.factors._alike import refuse_uneven, spans
from paribus.factors._vectors import on_contexts
from paribus.measure.executor import Executor
from paribus.measure.factor import ActUnits, of_like_strata
from paribus.measure.place import Place

MOST_BYTES = 4 << 30
"""Bytes of values that are kept of all contexts at all places."""


@dataclass(frozen=True, eq=False)
class Held:
    """Values that contexts have, unedited, at some sites.

    Attributes:
        values: Values ``[m, d, *positions]`` by site.
        row: Which of the ``m`` each context is ``[n_contexts]``; -1 for none.
    """

    values: Mapping[str, Tensor]
    row: Ints

    def of(self, site: str, columns: Ints) -> Tensor:
        """Return the values ``[b, d, *positions]`` of contexts ``columns``."""
        return self.values[site][torch.from_numpy(self.row[columns])]


@dataclass(frozen=True, eq=False)
class Donated(ActUnits):
    """Places that can be given the value of another context.

    Attributes:
        places: The bound places; those at all positions narrowed to the ones where a context and its donor differ.
        names: Their names.
        sites: Their sites, in the order in which the network comes to them.
        donors: The context that each context gets its value from ``[n_contexts]``; -1 for none.
        held: What donors have there.
        same: Places where every context has its donor's value already ``[k]``: giving it changes nothing.
        unread: Places that nothing depends on, which giving them has shown ``[k]``; None: not known yet.
    """

    places: tuple[Place, ...]
    names: tuple[str, ...]
    sites: tuple[str, ...]
    donors: Ints
    held: Held
    same: Bools
    unread: Bools | None = None
    name: str = "places"
    null_name: str = "random places of the same layers"

    @property
    def able(self) -> Bools:
        """Places that can change something, as far as is known ``[k]``."""
        return ~self.same if self.unread is None else ~(self.same | self.unread)

    def remove(self, off: Bools, columns: Ints) -> Intervention:
        """Return what gives the places ``off [k]`` of contexts ``columns`` the values of their donors."""
        by_site: dict[str, list[Place]] = {}
        for index in np.flatnonzero(off & ~self.same):
            by_site.setdefault(str(self.places[index].site), []).append(self.places[index])
        if not by_site:
            return Identity()
        edits = (self._edit(by_site[site], columns) if site in by_site else None for site in self.sites)
        return Together.at_sites(tuple(edits))

    def _edit(self, places: Sequence[Place], columns: Ints) -> Intervention:
        """Return the edit of some places of one site; heads at the same positions are given together."""
        alike: dict[tuple[object, ...], list[Place]] = {}
        for one in places:
            alike.setdefault((one.positions, one.named), []).append(one)
        edits = []
        for own in alike.values():
            every = any(one.channels is None for one in own)
            channels = None if every else tuple(sorted({c for one in own for c in one.channels or ()}))
            place, donors = replace(own[0], channels=channels), self.donors[columns]
            value = place.part(self.held.of(str(place.site), donors), donors)
            edits.append(place.within(Graft(torch.arange(value.shape[1]), value), columns))
        return edits[0] if len(edits) == 1 else Chain(tuple(edits))

    def like(self, off: Bools, n_null: int, rng: np.random.Generator) -> list[Ints]:
        """Return for each set random ones with as many places of each site, none of the set's own.

        Where a site has a single place, places of the same kind of site in other layers are drawn instead. Places that
        can change nothing are not drawn: compared with these, every set would look exceptional. None where too few are
        left.
        """
        sites = [str(place.site) for place in self.places]
        strata = np.array([site if sites.count(site) > 1 else re.sub(r"\d+", "N", site) for site in sites])
        return of_like_strata(off, strata, self.able, n_null, rng)

    def unrelated(self, columns: Ints, n_draws: int, executor: Executor, rng: np.random.Generator) -> list[Donated]:
        """Return the same places given by the donors of other contexts instead: one for each draw.

        A context of ``columns`` gets the donor of one of another cluster, of as many positions; none where some context
        has no such other one.
        """
        subject = executor.subject
        keys = [np.zeros(len(subject), np.int64) if subject.lengths is None else subject.lengths]
        keys += [spans(place.table) for place in self.places if place.table is not None]
        alike = np.unique(np.stack(keys, 1), axis=0, return_inverse=True)[1].reshape(-1)
        cluster, pool = subject.cluster[columns], self.donors[columns]
        allowed = (cluster[:, None] != cluster[None]) & (alike[columns][:, None] == alike[pool][None])
        if not allowed.any(axis=1).all():
            return []
        drawn = []
        for _ in range(n_draws):
            donors = self.donors.copy()
            donors[columns] = pool[np.where(allowed, rng.random(allowed.shape), -1.0).argmax(axis=1)]
            drawn.append(replace(self, donors=donors))
        return drawn


def bound(texts: Sequence[str], executor: Executor) -> tuple[tuple[Place, ...], tuple[str, ...]]:
    """Return places bound to the network and its contexts, and their sites in the order of the forward pass.

    Raises:
        ConfigError: If one does not exist.
    """
    parsed = [Place.parse(text) for text in texts]
    for place in parsed:
        place.site.validate(executor.network)
    values = executor.values_at(list(dict.fromkeys(str(place.site) for place in parsed)), np.arange(1))
    places = (place.bind(executor.network, values[str(place.site)].shape[1]) for place in parsed)
    return tuple(on_contexts(place, executor) for place in places), tuple(values)


def refuse_unlike(places: Sequence[Place], pairs: Ints, executor: Executor) -> None:
    """Refuse places that do not mean the same in both contexts of a pair.

    Raises:
        DataError: If a pair has different lengths, or numbers of named positions.
    """
    lengths = executor.subject.lengths
    if lengths is not None and any(place.named is None for place in places):
        uneven = int((lengths[pairs[:, 0]] != lengths[pairs[:, 1]]).sum())
        if uneven:
            raise DataError(
                f"experiment.positions: {uneven} of {len(pairs)} pairs have prompts of different lengths; patch "
                "positions that have a name, as in [subject,end]"
            )
    for place in places:
        refuse_uneven(place, pairs[:, 0], pairs[:, 1], executor.subject)


def donated(
    places: Sequence[Place], names: Sequence[str], sites: Sequence[str], pairs: Ints, executor: Executor
) -> Donated:
    """Return places with the values of both contexts of each pair ``[m, 2]``, each the other's donor.

    Raises:
        ConfigError: If the values take too much memory.
    """
    one = executor.values_at(sites, np.arange(1))
    size = 2 * len(pairs) * sum(value.numel() * 4 for value in one.values())
    if size > MOST_BYTES:
        raise ConfigError(
            f"experiment: the values of {len(pairs)} pairs at {len(sites)} sites take {size_of(size)} (at most "
            f"{size_of(MOST_BYTES)}); fewer pairs (experiment.n_contexts) or layers"
        )
    n = len(executor.subject)
    rows = pairs.T.ravel()
    row, donors = np.full(n, -1), np.full(n, -1)
    row[rows] = np.arange(len(rows))
    donors[pairs[:, 0]], donors[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    held = Held(executor.values_at(sites, rows), row)
    apart = {site: _apart(held.of(site, pairs[:, 0]), held.of(site, pairs[:, 1]), executor) for site in sites}
    same = [_same(place, held, pairs, apart[str(place.site)], executor) for place in places]
    narrowed = [_narrowed(place, apart[str(place.site)]) for place in places]
    return Donated(tuple(narrowed), tuple(names), tuple(sites), donors, held, np.array(same, bool))


def _same(place: Place, held: Held, pairs: Ints, apart: Bools, executor: Executor) -> bool:
    """Return whether both contexts of every pair have the same value at a place."""
    if place.named is not None:
        one, other = (place.part(held.of(str(place.site), side), side) for side in pairs.T)
        return not _apart(one, other, executor).any()
    part = apart if place.channels is None else apart[list(place.channels)]
    return not (part if place.positions is None else part[:, list(place.positions)]).any()


def _narrowed(place: Place, apart: Bools) -> Place:
    """Return a place at all positions as one at those where some pair differs at its site."""
    at: Bools = np.asarray(apart.any(axis=0))
    if place.at_some or at.all() or not at.any():
        return place
    return replace(place, positions=tuple(np.flatnonzero(at).tolist()))


def _apart(one: Tensor, other: Tensor, executor: Executor) -> Bools:
    """Return where two values ``[m, d, *positions]`` differ in some row by more than rounding ``[d, positions]``."""
    a, b = (part.flatten(2) if part.ndim > 2 else part[:, :, None] for part in (one, other))
    size = torch.maximum(a.abs().amax((0, 1)), b.abs().amax((0, 1)))
    return np.asarray(((a - b).abs().amax(0) > executor.rounding * size[None]).numpy())
