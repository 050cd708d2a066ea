"""Vectors of contexts at a place, from which means, directions and subspaces are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.engine.short_names import place as single
from paribus.errors import ConfigError, DataError
from paribus.measure.design import Design
from paribus.measure.executor import Executor
from paribus.measure.place import Place


def bound_place(text: str, executor: Executor) -> Place:
    """Return the place that ``text`` names in the network, its heads as channels.

    Raises:
        ConfigError: If it does not exist there.
    """
    place = Place.parse(single(text, executor.network))
    place.site.validate(executor.network)
    return on_contexts(place.bind(executor.network, executor.width(str(place.site))), executor)


def on_contexts(place: Place, executor: Executor) -> Place:
    """Return a place with its named positions looked up in the contexts.

    Raises:
        ConfigError: If they have none of the name, or a number is no position in some of them.
    """
    subject = executor.subject
    for position in place.positions or ():
        if reason := subject.refused_position(position):
            raise ConfigError(f"place {place}: position {position} {reason}")
    return place.on(subject.positions, subject.name)


def edits_at(edits: Sequence[tuple[Place, Intervention]], description: str) -> Design:
    """Return a design of the contexts as they are, then under each edit, kept to its (bound) place of one site."""

    def acts(columns: Ints) -> Sequence[Intervention]:
        return [Identity(), *(place.within(edit, columns) for place, edit in edits)]

    return Design(acts=acts, n_acts=len(edits) + 1, sites=(str(edits[0][0].site),), description=description)


def vectors(executor: Executor, place: Place, rows: Ints) -> Floats:
    """Return one vector of each context at a bound place ``[n, k]``: the mean over its positions.

    Raises:
        DataError: If some are not finite, so that nothing can be fitted on them.
    """
    found = _vectors(executor, place, rows)
    odd = int((~np.isfinite(found).all(1)).sum())
    if odd:
        raise DataError(
            f"place {place}: the values of {odd} of {len(rows)} contexts that are fitted on are NaN or infinite"
        )
    return found


def _vectors(executor: Executor, place: Place, rows: Ints) -> Floats:
    if not place.at_some:
        found = executor.vectors(str(place.site), rows)
        return found if place.channels is None else found[:, list(place.channels)]
    part = place.part(executor.values(str(place.site), rows), rows)
    return np.asarray(part.flatten(2).mean(2).double().numpy() if part.ndim > 2 else part.double().numpy())


def classes(executor: Executor, target: str, rows: Ints, said: str = "the contexts it is fitted on") -> Any:
    """Return label or domain of contexts ``[n]``; ``said``: what these are called where they cannot be told apart.

    Raises:
        DataError: If the contexts have none, or only one of them.
    """
    known = executor.subject.label if target == "label" else executor.subject.domain
    if known is None:
        raise DataError(f"target={target}: these {executor.subject.name} have no {target}")
    found = np.asarray(known)[rows]
    if len(np.unique(found)) < 2:
        raise DataError(f"target={target}: {said} have only one {target}; name another split")
    return found


def chosen(ids: Sequence[int], size: int, what: str, place: object) -> tuple[int, ...]:
    """Return the numbers asked for, all of them where none are.

    Raises:
        ConfigError: If one does not exist, or is named twice.
    """
    if len(set(ids)) != len(ids):
        raise ConfigError(f"experiment.factor.ids: names a {what} twice")
    if ids and max(ids) >= size:
        raise ConfigError(
            f"experiment.factor.ids: {place} has {size} {what}s, numbered 0 to {size - 1}, got {max(ids)}"
        )
    return tuple(ids) or tuple(range(size))
