"""What is validated: the effect vector of the target, and setups with shuffled activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from paribus.arrays import Ints
from paribus.errors import ConfigError
from paribus.experiments.effect_vector import LEAST_TESTED, EffectVector, Validated
from paribus.experiments.validation.validation_experiment import Validation
from paribus.stats.blocks import block_permutations, exchangeable_blocks

LEAST_ENTRIES = 6
"""Entries that a vector must have to be judged."""


def usable_vector(experiment: Validation, setup: Validated) -> tuple[EffectVector, Ints]:
    """Return the target's vector, and the places of the entries that can be judged.

    Entries that rest on fewer than 30 contexts are left out: their noise would drown the others'.

    Raises:
        ConfigError: If fewer than six are left.
    """
    vector: EffectVector = experiment.target.effect_vector(setup)
    usable = np.isfinite(vector.values)
    if vector.differences is not None:
        usable &= (~np.isnan(vector.differences)).sum(1) >= LEAST_TESTED
    kept = np.flatnonzero(usable)
    if len(kept) < LEAST_ENTRIES:
        raise ConfigError(
            f"experiment.target: the effect vector of {experiment.target.type} has {len(kept)} usable entries "
            f"(of {len(vector.values)}), and at least {LEAST_ENTRIES} are needed; ask it for more conditions"
        )
    return vector, kept


def lean(setup: Validated) -> Validated:
    """Return the setup with the fewest resamples: a vector is recomputed many times, and only its values count."""
    other = setup.restrict(np.arange(len(setup.contexts)))
    other.stats = replace(setup.stats, n_bootstrap=100, n_permutations=99)
    return other


def shuffled(setup: Validated, n: int, stream: str) -> Iterator[Validated]:
    """Yield the setup with activations shuffled among the chosen contexts, whole source builds at a time.

    Builds change places with others of the same number of contexts; activations outside the slice stay.
    """
    whole = setup.corpus_measured
    for chunk in block_permutations(setup.cluster, n, setup.rng(stream)):
        for order in chunk:
            f, z = whole.f.copy(), whole.z.copy()
            f[setup.chosen], z[setup.chosen] = f[setup.chosen][order], z[setup.chosen][order]
            yield setup.with_activations(f, z)


def n_exchangeable(setup: Validated) -> int:
    """Return how many source builds can change places with another one."""
    return sum(len(rows) for rows in exchangeable_blocks(setup.cluster) if len(rows) > 1)
