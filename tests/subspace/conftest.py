"""Features with a domain and a label planted along known directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest


@dataclass
class Planted:
    h: np.ndarray
    domains: np.ndarray
    labels: np.ndarray
    domain_axis: np.ndarray
    label_axis: np.ndarray

    @property
    def clusters(self):
        return np.arange(len(self.h))


def plant(seed=0, n=2000, d=12, *, n_domains=2, confounding=0.0, domain_gap=2.0, label_gap=2.0, noise=None, angle=90.0):
    """Rows with a domain axis e and a label axis at ``angle`` to it; ``confounding`` of the domain with the label."""
    rng = np.random.default_rng(seed)
    frame = np.linalg.qr(rng.standard_normal((d, d))).Q
    domain_axis = frame[0]
    label_axis = np.cos(np.radians(angle)) * frame[0] + np.sin(np.radians(angle)) * frame[1]
    domains = rng.integers(0, n_domains, n)
    place = domains / (n_domains - 1) - 0.5
    labels = (rng.random(n) < 0.5 + confounding * place).astype(int)
    mix = np.eye(d) if noise is None else noise
    h = rng.standard_normal((n, d)) @ mix.T
    h = h + domain_gap * place[:, None] * domain_axis + label_gap * (labels - 0.5)[:, None] * label_axis + 3.0
    return Planted(h, domains, labels, domain_axis, label_axis)


@pytest.fixture(name="plant")
def plant_fixture():
    return plant
