"""The groups of contexts that features may be associated with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Ints
from paribus.errors import ConfigError
from paribus.experiments.setup import NetworkSetup


@dataclass(frozen=True)
class Groups:
    """The groupings that features may be associated with.

    Attributes:
        factors: ``label``, ``domain``, those that contexts differ in.
        codes: Group of each context in each ``[factors, n]``, numbered from 0.
        names: Names of the groups of each.
    """

    factors: tuple[str, ...]
    codes: Ints
    names: tuple[tuple[str, ...], ...]


def groups_of(setup: NetworkSetup, rows: Ints, said: str) -> Groups:
    """Return labels and domains of some contexts, those that tell contexts apart.

    Raises:
        ConfigError: If neither does.
    """
    contexts = setup.contexts
    factors, codes, names = [], [], []
    for factor, values, called in (
        ("label", contexts.label, contexts.output_names),
        ("domain", contexts.domain, contexts.domain_names),
    ):
        if values is None or np.asarray(values).dtype.kind not in "iub":
            continue
        present, code = np.unique(np.asarray(values)[rows], return_inverse=True)
        if 2 <= len(present) <= len(rows) // 4:
            factors.append(factor)
            codes.append(code)
            names.append(tuple(called[k] if 0 <= k < len(called) else str(k) for k in map(int, present)))
    if not factors:
        raise ConfigError(
            f"experiment.split={said}: these {contexts.name} have neither classes nor domains that several contexts "
            "share, so there is nothing to rank features by; choose one by hand (feature=latent feature.id=...)"
        )
    return Groups(tuple(factors), np.array(codes, np.int64), tuple(names))
