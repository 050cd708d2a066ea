"""The pairs of a request, and the places that it asks for, by name and bound to the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from paribus.arrays import Ints
from paribus.engine.short_names import blocks, layers_with
from paribus.engine.short_names import place as full_name
from paribus.errors import ConfigError, DataError, nearest
from paribus.experiments.any._session import Rows, rows_of
from paribus.experiments.any.activation_patching.spec import EACH, ActivationPatching
from paribus.experiments.setup import NetworkSetup
from paribus.factors._donated import bound, refuse_unlike
from paribus.measure.executor import Executor
from paribus.measure.place import Place, heads_at
from paribus.measure.subject import Subject


def on_pairs(setup: NetworkSetup) -> NetworkSetup:
    """Return the setup on contexts of which each has a counterpart.

    Raises:
        DataError: If they have none.
    """
    paired = setup.contexts.paired()
    if paired is None:
        raise DataError(
            f"data: these {setup.contexts.name} are no pairs of a clean and a corrupted one; use data=prompt_pairs or "
            "repeated_tokens, or experiment=patch with donors of another label or split"
        )
    return replace(setup, contexts=paired)


def clean_rows(experiment: ActivationPatching, setup: NetworkSetup) -> Rows:
    """Return the clean contexts that are reported, and those that the ranking is made on.

    Raises:
        DataError: If a split holds others.
    """
    rows = rows_of(experiment, setup)
    pairs = setup.contexts.pairs
    assert pairs is not None
    for name, some in (("split", rows.reported), ("fit_split", rows.fit)):
        if not np.isin(some, pairs[:, 0]).all():
            raise DataError(f"experiment.{name}: must hold clean contexts; their counterparts are found by themselves")
    return rows


def pairs_of(subject: Subject, rows: Rows) -> Ints:
    """Return the pairs ``[m, 2]`` of the contexts that are reported or ranked on."""
    assert subject.pairs is not None
    return subject.pairs[np.isin(subject.pairs[:, 0], np.concatenate([rows.reported, rows.fit]))]


@dataclass(frozen=True)
class Asked:
    """The places that are asked for.

    Attributes:
        names: What rows are called.
        places: As they were asked for, heads as numbers.
        bound: Bound to the network and the contexts.
        sites: Their sites, in the order of the forward pass.
    """

    names: tuple[str, ...]
    places: tuple[Place, ...]
    bound: tuple[Place, ...]
    sites: tuple[str, ...]


def asked_for(experiment: ActivationPatching, executor: Executor, pairs: Ints) -> Asked:
    """Look the places up.

    Raises:
        ConfigError: If a layer, place, position or member of a group does not exist.
        DataError: If a place does not mean the same in both contexts of a pair.
    """
    names = tuple(experiment.places or _named(experiment, executor))
    texts = [full_name(name, executor.network) for name in names]
    found, sites = bound(texts, executor)
    refuse_unlike(found, pairs, executor)
    for group in experiment.groups:
        for one in experiment.members(group):
            if one not in names:
                raise ConfigError(f"experiment.groups: there is no row {one!r}; {nearest(one, names)}")
    return Asked(names, tuple(Place.parse(text) for text in texts), found, sites)


def _named(experiment: ActivationPatching, executor: Executor) -> list[str]:
    """Return short names of the part in every layer, at every position asked for."""
    n_layers = len(blocks(executor.network, "experiment.part"))
    if experiment.layers and max(experiment.layers) >= n_layers:
        raise ConfigError(f"experiment.layers: the network has {n_layers}, numbered 0 to {n_layers - 1}")
    found = []
    for layer in sorted(experiment.layers) or layers_with(executor.network, experiment.part, "experiment.part"):
        if experiment.part == "heads":
            site = Place.parse(full_name(f"L{layer}.heads", executor.network)).site
            found += [f"L{layer}H{head}" for head in range(heads_at(executor.network, site))]
        else:
            found.append(f"L{layer}.{experiment.part}")
    ends = _positions(experiment, executor, full_name(found[0], executor.network))
    return [name + end for name in found for end in ends]


def _positions(experiment: ActivationPatching, executor: Executor, place: str) -> list[str]:
    """Return what names are followed by: which positions."""
    wanted = list(experiment.positions)
    if not wanted and experiment.part.startswith("resid"):
        own = executor.subject.positions
        wanted = [name for name in own if "." not in name] if len(own) > 1 else [EACH]
    if wanted == [EACH]:
        value = executor.values(str(Place.parse(place).site), np.arange(1))
        wanted = [str(one) for one in range(value[0, 0].numel())]
    return [f"[pos={one}]" if one.lstrip("-").isdigit() else f"@{one}" for one in wanted] or [""]
