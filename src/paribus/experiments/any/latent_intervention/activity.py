"""How active the latents of an autoencoder are on contexts, position by position; and latents with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from paribus.arrays import Floats, Ints
from paribus.features.columns import Latents
from paribus.measure.executor import Executor
from paribus.measure.place import Place
from paribus.models.autoencoders import random_alike
from paribus.models.nets.sae import SparseAutoencoder

MOST_VALUES = 1 << 22
"""Activations that are held at once."""
MOST_KEPT = 4096
"""About how many vectors are kept, drawn among all positions that count."""


@dataclass(frozen=True, eq=False)
class Activity:
    """The latents on some contexts, at the positions that count.

    Attributes:
        rate: How often each fires ``[F]``: the mean over contexts of the share of positions.
        mean: Mean activation ``[F]``.
        top: Largest activation ``[F]``.
        kept: Some of the vectors ``[m, d]``: the same whatever batches they come in.
        weight: How much each counts ``[m]``, the largest 1: every context alike.
    """

    rate: Floats
    mean: Floats
    top: Floats
    kept: Tensor
    weight: Tensor

    def change(self, latent: int, value: float) -> float | None:
        """Return how far a latent is on average from a value; None where some activations are larger, others smaller.

        All activations count, not only those of the vectors that are kept: a latent that seldom fires may fire in none
        of these.
        """
        if value <= 0:
            return float(self.mean[latent]) - value
        if value >= self.top[latent]:
            return max(0.0, value - float(self.mean[latent]))
        return None

    def like(self, latent: int) -> Ints:
        """Return the other latents that ever fire, nearest firing rate first."""
        distance = np.abs(self.rate - self.rate[latent])
        order = np.argsort(distance, kind="stable")
        return np.asarray(order[(order != latent) & (self.rate[order] > 0)])


def activity(
    sae: SparseAutoencoder,
    executor: Executor,
    place: Place,
    rows: Ints,
    rng: np.random.Generator,
    most_kept: int = MOST_KEPT,
) -> Activity:
    """Return how active all latents are on contexts ``rows`` at a place.

    Args:
        sae: The autoencoder.
        executor: Runs the network.
        place: Where it reads, and at which positions.
        rows: Which contexts.
        rng: Draws the vectors that are kept.
        most_kept: About how many these are.

    Raises:
        ConfigError: If the place names positions that are not there.
    """
    sums = np.zeros((2, sae.n_features))
    top = np.zeros(sae.n_features)
    kept: dict[int, tuple[Tensor, Tensor]] = {}
    of_each = -(-most_kept // len(rows))
    own = rng.integers(2**63, size=len(rows))
    chosen = np.ones(len(rows), bool)
    if len(rows) > most_kept:
        chosen[rng.choice(len(rows), len(rows) - most_kept, replace=False)] = False

    def visit(batch: slice, h: Tensor, weight: Tensor) -> None:
        h, weight = _at(place, h, weight, rows[batch])
        found, largest = np.zeros((2, sae.n_features)), np.zeros(sae.n_features)
        vectors, counts = h.flatten(0, 1), weight.flatten()
        vectors, counts = vectors[counts > 0], counts[counts > 0]
        for part, share in pieces(vectors, counts, sae.n_features):
            f = sae.encode(part.to(sae.encoder.weight))[0]
            weighed = share.to(f)
            found[0] += (weighed @ (f > 0).to(f)).double().cpu().numpy()
            found[1] += (weighed @ f).double().cpu().numpy()
            np.maximum(largest, f.amax(0).double().cpu().numpy(), out=largest)
        beside = weight.double().cpu().numpy()
        stands_for = np.zeros_like(beside)
        for row in np.flatnonzero(chosen[batch]).tolist():
            some, each = _drawn(beside[row], of_each, int(own[batch][row]))
            stands_for[row, some] = each
        drawn = torch.from_numpy(stands_for)
        sums[:] += found
        np.maximum(top, largest, out=top)
        kept[batch.start] = (h[(drawn > 0).to(h.device)].cpu(), drawn[drawn > 0])

    executor.visit_positions(executor.subject.cells(rows), str(place.site), visit)
    vectors, shares = (torch.cat([kept[start][one] for start in sorted(kept)]) for one in (0, 1))
    return Activity(sums[0] / len(rows), sums[1] / len(rows), top, vectors, shares / shares.max())


def pieces(vectors: Tensor, counts: Tensor, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield vectors ``[m, d]`` and their counts a part at a time, so that ``m`` times ``width`` is bounded."""
    size = max(1, MOST_VALUES // max(1, width))
    for start in range(0, len(vectors), size):
        yield vectors[start : start + size], counts[start : start + size]


def _at(place: Place, h: Tensor, weight: Tensor, columns: Ints) -> tuple[Tensor, Tensor]:
    """Return the positions that a place names; those count alike, whatever they count elsewhere."""
    if not place.at_some:
        return h, weight
    h = place.part(h.movedim(1, 2), columns).movedim(2, 1)
    return h, h.new_full(h.shape[:2], 1.0 / h.shape[1])


def _drawn(counts: Floats, n: int, seed: int) -> tuple[Ints, Floats]:
    """Return ``n`` positions of a context, each as likely as it counts, and what each stands for; all if not more."""
    there = np.flatnonzero(counts > 0)
    if len(there) <= n:
        return there, counts[there]
    some = np.random.default_rng(seed).choice(len(counts), n, replace=False, p=counts / counts.sum())
    return np.sort(some), np.full(n, 1.0 / n)


@dataclass(frozen=True, eq=False)
class RandomLatents:
    """Latents with random weights, which fire as often as a given one.

    Attributes:
        columns: The autoencoder they make up.
        mean: Mean activation of each ``[m]``.
        top: Largest activation of each ``[m]``.
    """

    columns: Latents
    mean: Floats
    top: Floats


def random_latents(
    sae: SparseAutoencoder, vectors: Tensor, rate: float, n: int, generator: torch.Generator
) -> RandomLatents:
    """Return random latents that fire at a rate (:func:`paribus.models.autoencoders.random_alike`), and how strongly.

    Args:
        sae: The real one.
        vectors: Vectors ``[m, d]`` that the rate is of.
        rate: How often each is to fire.
        n: How many.
        generator: Draws the rows.
    """
    made = random_alike(sae, vectors, torch.full((n,), rate, dtype=torch.float64), generator)
    with torch.no_grad():
        f = made.encode(vectors.to(sae.encoder.weight))[0].double()
    return RandomLatents(Latents(made), f.mean(0).cpu().numpy(), f.amax(0).cpu().numpy())
