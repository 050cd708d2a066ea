"""A shortcut with exactly known answers: features that are the inputs themselves, in front of a known linear head."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from paribus.engine.cache import FeatureCache
from paribus.experiments.checkpoints import Checkpoints
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.stats.spec import StatsSpec
from paribus.subjects.images.data import ImageData
from paribus.subjects.images.subject import ImageSubject

SIZES = {"train": 1.0, "id_val": 0.5, "val": 0.25, "ood": 0.5}
QUICK = StatsSpec(n_bootstrap=100, n_permutations=199, n_null=20)


class Toy:
    """Isotropic noise, a domain axis and a label axis (by default at right angles), and a head that reads both.

    Domains 0 and 1 stand in training at -gap/2 and +gap/2 on the domain axis, 1 going with class 1 as often as
    ``strength`` says; 2 (val) and 3 (ood) stand at other places and go with no class.
    """

    place = {0: -0.5, 1: 0.5, 2: 0.1, 3: 0.9}

    def __init__(
        self, n=400, d=8, *, seed=0, strength=0.8, gap=2.0, label_gap=2.0, reads_domain=1.0, rerender=True,
        aligned=False, angle=90.0,
    ):  # fmt: skip
        rng = np.random.default_rng(seed)
        frame = np.eye(d) if aligned else np.linalg.qr(rng.standard_normal((d, d))).Q
        self.domain_axis, self.gap, self.d = frame[0], gap, d
        self.label_axis = np.cos(np.radians(angle)) * frame[0] + np.sin(np.radians(angle)) * frame[1]
        self.weight = np.stack([np.zeros(d), self.label_axis + reads_domain * self.domain_axis])
        # Its threshold lies half way between the classes, for a domain at 0.
        self.bias = np.array([0.0, -0.7 * self.weight[1].sum()])
        sizes = {split: int(n * share) for split, share in SIZES.items()}
        split_of = np.repeat(list(sizes), list(sizes.values()))
        total = len(split_of)
        domains = np.where(split_of == "val", 2, np.where(split_of == "ood", 3, rng.integers(0, 2, total)))
        tied = np.where(domains == 1, 0.5, np.where(domains == 0, -0.5, 0.0)) * strength
        labels = (rng.random(total) < 0.5 + tied).astype(np.int64)
        self.content = rng.standard_normal((total, d)) + label_gap * (labels - 0.5)[:, None] * self.label_axis + 0.7
        h = self.content + np.array([self.shift(k) for k in range(4)])[domains]
        self.data = ImageData(
            inputs=self.images(h),
            labels=labels,
            domains=domains.astype(np.int64),
            clusters=np.arange(total) // 2,
            domain_names=("a", "b", "c", "d"),
            class_names=("no", "yes"),
            splits={split: np.flatnonzero(split_of == split) for split in sizes},
            digest=f"toy{seed}",
            train_domains=(0, 1),
            rerender=(lambda rows, k: self.images(self.content[rows] + self.shift(k))) if rerender else None,
            paired_class={0: 0, 1: 1},
        )

    def shift(self, domain):
        return self.gap * self.place[domain] * self.domain_axis

    @staticmethod
    def images(h):
        return torch.from_numpy(np.ascontiguousarray(h))[:, None, None, :]

    def features(self, split):
        return self.data.inputs[self.data.splits[split]].numpy()[:, 0, 0, :]

    def labels(self, split):
        return self.data.labels[self.data.splits[split]]

    def margins(self, h):
        logits = h @ self.weight.T + self.bias
        return logits[:, 1] - logits[:, 0]

    def state(self, weight=None):
        given = self.weight if weight is None else weight
        return {"1.weight": torch.from_numpy(given.copy()), "1.bias": torch.from_numpy(self.bias.copy())}

    def model(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(self.d, 2)).double()

    def setup(self, *, checkpoint="final", weights=None, history=None, stats=QUICK, data=None):
        """A setup whose checkpoints have the head's weight of each epoch (default: one, the toy's own)."""
        states = {epoch: self.state(weight) for epoch, weight in (weights or {5: None}).items()}
        return NetworkSetup(
            seed=3,
            stats=stats,
            dtype="float64",
            contexts=ImageSubject(data or self.data),
            network=self.model(),
            checkpoints=Checkpoints(states.__getitem__, tuple(states), f"toy{id(self)}", history),
            checkpoint=checkpoint,
            cache=FeatureCache(),
        )


def run(experiment, setup):
    """Return aggregates and recorder of ``experiment`` on ``setup``."""
    recorder = MemoryRecorder()
    return experiment.run(setup, recorder), recorder
