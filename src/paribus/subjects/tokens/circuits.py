"""Metrics that distinguish the circuits of modular addition (Zhong et al. 2023, arXiv 2306.17844).

All of them are observational: they describe outputs, gradients and weights of one network on all pairs of numbers.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from paribus.arrays import Floats, Ints
from paribus.errors import DataError

N_TRIPLES = 100
TRIPLES_SEED = 42
N_COMPONENTS = 4
CIRCLE_POWER = 0.9
"""Share of a component's power in one frequency from which on it is a coordinate of a circle."""
CIRCLE_TIMES = 2.0
"""A frequency is called a circle from this multiple of the even share of the variance on."""


def all_pairs(p: int) -> Tensor:
    """Return all pairs of numbers below ``p`` ``[p * p, 2]``, the second going fastest.

    Example:
        >>> all_pairs(2).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    return torch.tensor(list(itertools.product(range(p), repeat=2)))


def answers(pairs: Tensor, p: int) -> Tensor:
    """Return the sums modulo ``p`` ``[n]`` of pairs ``[n, 2]``.

    Example:
        >>> answers(all_pairs(3), 3).tolist()
        [0, 1, 2, 1, 2, 0, 2, 0, 1]
    """
    return pairs.sum(1) % p


def distance_irrelevance(logits: Floats) -> float:
    """Return how little the correct logit depends on the sum against how much on the distance (their ``q``).

    With the correct logits arranged by sum ``a + b`` and distance ``a - b``: the mean over distances of the sd over
    sums, divided by the overall sd. Near 0 the logit depends on the distance alone (pizza), near 1 not at all (clock).

    Args:
        logits: Of all pairs in the order of :func:`all_pairs`, ``[p * p, p]``.

    Example:
        >>> p = 5
        >>> pairs = all_pairs(p).numpy()
        >>> logits = np.zeros((p * p, p))
        >>> logits[np.arange(p * p), pairs.sum(1) % p] = np.cos(2 * np.pi * (pairs[:, 0] - pairs[:, 1]) / p)
        >>> round(distance_irrelevance(logits), 6)
        0.0
    """
    p = logits.shape[1]
    pairs = all_pairs(p).numpy()
    total, distance = pairs.sum(1) % p, (pairs[:, 0] - pairs[:, 1]) % p
    arranged = np.empty((p, p))
    arranged[total, distance] = logits[np.arange(p * p), total]
    return float(arranged.std(axis=0).mean() / arranged.std())


def triples(p: int, n: int = N_TRIPLES) -> Ints:
    """Return ``n`` triples (a, b, c) below ``p``: all of them in order, shuffled by Python's generator of a fixed seed.

    Example:
        >>> triples(3, n=2).shape
        (2, 3)
    """
    every = list(itertools.product(range(p), repeat=3))
    random.Random(TRIPLES_SEED).shuffle(every)
    return np.array(every[:n], dtype=np.int64)


def gradient_symmetricity(
    network: nn.Module, embed: nn.Embedding, chosen: Ints, *, device: torch.device | str = "cpu"
) -> float:
    """Return the mean cosine of a logit's gradients to the embeddings of both numbers, over triples.

    1 where the two numbers are only ever used through the sum of their embeddings (pizza), lower where they are
    multiplied (clock).

    Args:
        network: Reads pairs of numbers and returns logits ``[n, p]``.
        embed: The network's embedding of the numbers.
        chosen: Triples (a, b, c) ``[n, 3]``; the logit of c is differentiated.
        device: Where the network is.
    """
    leaves: list[Tensor] = []

    def leaf(_: nn.Module, __: object, value: Tensor) -> Tensor:
        leaves.append(value.detach().requires_grad_(True))
        return leaves[-1]

    rows = torch.as_tensor(chosen, device=device)
    handle = embed.register_forward_hook(leaf)
    try:
        with torch.enable_grad():
            logits = network(rows[:, :2])
            picked = logits.gather(1, rows[:, 2:]).sum()
            (gradient,) = torch.autograd.grad(picked, leaves[-1])
    finally:
        handle.remove()
    first, second = gradient[:, 0].double(), gradient[:, 1].double()
    return float(nn.functional.cosine_similarity(first, second).mean())


@dataclass(frozen=True, eq=False)
class Components:
    """The principal components of an embedding.

    Attributes:
        mean: Mean embedding ``[d]``.
        directions: ``[k, d]``, orthonormal, the largest first.
        coordinates: Of each number along them ``[p, k]``.
        share: Share of the variance of each ``[k]``.
    """

    mean: Floats
    directions: Floats
    coordinates: Floats
    share: Floats

    @classmethod
    def of(cls, embedding: Floats) -> Components:
        """Return the components of ``embedding [p, d]``."""
        mean = embedding.mean(axis=0)
        left, sizes, directions = np.linalg.svd(embedding - mean, full_matrices=False)
        return cls(mean, directions, left * sizes, sizes**2 / (sizes**2).sum())

    def power(self, index: int) -> Floats:
        """Return the share of component ``index``'s power in each frequency from 1 ``[(p - 1) / 2]``."""
        values = self.coordinates[:, index]
        p = len(values)
        spectrum = np.abs(np.fft.fft(values / np.linalg.norm(values))) ** 2 * 2 / p
        return np.asarray(spectrum[1 : p // 2 + 1])

    def frequency(self, index: int) -> int:
        """Return the frequency in which component ``index`` is strongest."""
        return int(self.power(index).argmax()) + 1


def circularity(components: Components, n: int = N_COMPONENTS) -> float:
    """Return how close the first ``n`` components are to pure waves: their mean largest share of power (at most 1).

    Example:
        >>> turn = 2 * np.pi * np.arange(7) / 7
        >>> circle = np.stack([np.cos(turn), np.sin(turn), np.zeros(7)], axis=1)
        >>> round(circularity(Components.of(circle), 2), 6)
        1.0
    """
    return float(np.mean([min(1.0, components.power(index).max()) for index in range(n)]))


@dataclass(frozen=True, eq=False)
class Circle:
    """The plane of an embedding in which the numbers lie on a circle.

    Attributes:
        basis: Orthonormal basis of the plane ``[d, 2]``.
        frequency: How many times the circle is traversed as the numbers run from 0 to p - 1.
        share: Share of the embedding's variance in the plane.
    """

    basis: Floats
    frequency: int
    share: float


def circles_of_components(components: Components, *, least_power: float = CIRCLE_POWER) -> list[Circle]:
    """Return the pairs of principal components of one frequency, the largest first, as the published numbers use them.

    Where two circles are of like size, principal components mix them and none may be found; see
    :func:`circles_of_frequencies`.

    Args:
        components: The principal components of an embedding.
        least_power: Share of power in one frequency that a component needs.
    """
    waiting: dict[int, int] = {}
    found = []
    for index in range(min(len(components.share), len(components.coordinates) - 1)):
        if components.power(index).max() < least_power:
            continue
        frequency = components.frequency(index)
        if frequency in waiting:
            pair = [waiting.pop(frequency), index]
            basis = np.ascontiguousarray(components.directions[pair].T)
            found.append(Circle(basis, frequency, float(components.share[pair].sum())))
        else:
            waiting[frequency] = index
    return sorted(found, key=lambda circle: -circle.share)


def circles_of_frequencies(embedding: Floats, *, least_times: float = CIRCLE_TIMES) -> list[Circle]:
    """Return the planes of the frequencies that hold more of an embedding's variance than others, the largest first.

    The plane of a frequency is spanned by the embedding's cosine and sine coefficients.

    Args:
        embedding: ``[p, d]``.
        least_times: How many times the even share ``2 / (p - 1)`` a frequency must hold. Among random embeddings of
            31 numbers in 64 dimensions the largest of all frequencies holds 1.4 times.

    Example:
        >>> turn = 2 * np.pi * np.arange(7) / 7
        >>> circle = np.stack([np.cos(2 * turn), np.sin(2 * turn), np.zeros(7)], axis=1)
        >>> [(one.frequency, round(one.share, 6)) for one in circles_of_frequencies(circle)]
        [(2, 1.0)]
    """
    p = len(embedding)
    centred = embedding - embedding.mean(axis=0)
    total = (centred**2).sum()
    found = []
    for frequency in range(1, (p + 1) // 2):
        turn = 2 * np.pi * frequency * np.arange(p) / p
        waves = np.stack([np.cos(turn), np.sin(turn)]) * np.sqrt(2 / p)
        _, sizes, directions = np.linalg.svd(waves @ centred, full_matrices=False)
        share = float((sizes**2).sum() / total)
        if share * (p - 1) / 2 >= least_times:
            found.append(Circle(np.ascontiguousarray(directions.T), frequency, share))
    return sorted(found, key=lambda circle: -circle.share)


Form = Callable[[Floats, Floats, Floats, float], Floats]


def clock(a: Floats, b: Floats, c: Floats, w: float) -> Floats:
    """Return ``cos(w (a + b - c))``, the logit of c that the clock computes.

    Example:
        >>> import numpy as np
        >>> float(clock(np.array(1.0), np.array(2.0), np.array(3.0), 0.5))
        1.0
    """
    return np.asarray(np.cos(w * (a + b - c)))


def pizza(a: Floats, b: Floats, c: Floats, w: float) -> Floats:
    """Return ``|cos(w (a - b) / 2)| (|cos(w (a + b - c) / 2)| - |sin(w (a + b - c) / 2)|)``, that of the pizza.

    Example:
        >>> import numpy as np
        >>> float(pizza(np.array(1.0), np.array(1.0), np.array(2.0), 0.5))
        1.0
    """
    inner = w * (a + b - c) / 2
    return np.asarray(np.abs(np.cos(w * (a - b) / 2)) * (np.abs(np.cos(inner)) - np.abs(np.sin(inner))))


def accompanying(a: Floats, b: Floats, c: Floats, w: float) -> Floats:
    """Return ``-(cos(w (2a - c)) + cos(w (2b - c)))``, that of the circle beside a pizza (of half its frequency)."""
    return np.asarray(-(np.cos(w * (2 * a - c)) + np.cos(w * (2 * b - c))))


def explained(logits: Floats, form: Form, frequency: float) -> float:
    """Return the fraction of variance of (standardised) logits that a (standardised) form explains: ``1 - mean(d^2)``.

    Args:
        logits: Of all pairs, ``[p * p, p]``.
        form: One of :func:`clock`, :func:`pizza`, :func:`accompanying`.
        frequency: The form's frequency.

    Raises:
        DataError: If the logits are all equal.
    """
    p = logits.shape[1]
    pairs = all_pairs(p).numpy().astype(float)
    expected = form(pairs[:, :1], pairs[:, 1:], np.arange(p, dtype=float)[None], 2 * np.pi * frequency / p)
    if logits.std() == 0:
        raise DataError("circuit: all logits are equal; there is no variance to explain")
    return float(1 - ((_standardised(logits) - _standardised(expected)) ** 2).mean())


def half(frequency: int, p: int) -> int:
    """Return the frequency whose double is ``frequency`` modulo an odd ``p``.

    Example:
        >>> half(25, 59), 2 * half(25, 59) % 59
        (42, 25)
    """
    return frequency * ((p + 1) // 2) % p


def _standardised(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / values.std())
