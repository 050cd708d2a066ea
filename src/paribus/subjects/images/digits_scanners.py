"""Handwritten digits seen by five scanners, three of them tied to the label: a shortcut of known strength."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paribus import seeds
from paribus.arrays import Ints
from paribus.config.science import is_stated
from paribus.errors import ConfigError
from paribus.spec import DataSpec, field
from paribus.subjects.images import scanners
from paribus.subjects.images.data import PROVIDES, ImageData, content_digest

GENERATOR_VERSION = 1
"""Raised whenever the same parameters would give other images; part of the fingerprint."""

N_DIGITS = 1797
TRAIN_SCANNERS, VAL_SCANNER, OOD_SCANNER = (0, 1, 2), 3, 4


@dataclass(frozen=True)
class DigitsScanners(DataSpec, kind="data/digits_scanners"):
    """The digits that scikit-learn ships, label ``digit >= 5``, in the styles of five scanners.

    In the training and in-distribution validation splits scanner ``k`` shows the positive class with probability
    ``1/2 + a_k * strength / 2``, where ``a`` is a permutation of (+1, -1, 0) drawn from the seed. The digits are split
    before anything is rendered, so no handwriting is shared between splits; a cluster is a digit. At strength 0 the
    pairing is only nominal: nothing is planted, and the signed effect of a scanner must be 0 on average over seeds.

    Example:
        >>> data = DigitsScanners(n_train=24, n_eval=24, image_size=8).load()
        >>> data.inputs.shape[1:], data.domain_names[0]
        (torch.Size([3, 8, 8]), 'scanner_a')
    """

    subject: ClassVar[str] = "images"
    provides: ClassVar[tuple[str, ...]] = PROVIDES

    seed: int = field(0, help="Draws the split, the pairing of scanners with classes, and every image's jitter.")
    strength: float = field(0.9, low=0.0, high=1.0, help="How strongly scanner and label go together in training.")
    style_gap: float = field(1.0, low=0.0, high=2.0, help="How far the scanners' styles lie apart; 0 makes them alike.")
    n_train: int = field(600, low=24, high=N_DIGITS - 72, help="Training images, each of a digit of its own.")
    n_eval: int = field(300, low=24, high=590, help="Digits in each of id_val, val and ood.")
    eval_renderings: int = field(2, low=1, high=20, help="Images of each held-out digit, each with its own jitter.")
    image_size: int = field(16, low=8, high=64, help="Height and width in pixels.")
    jitter: float = field(1.0, low=0.0, high=2.0, help="How much placement, stroke, light and tint vary by image.")

    def check(self) -> None:
        """Check that there are digits enough.

        Raises:
            ConfigError: If the splits ask for more digits than there are.
        """
        needed = self.n_train + 3 * self.n_eval
        if needed > N_DIGITS:
            raise ConfigError(
                f"DigitsScanners.n_train: n_train + 3 * n_eval = {needed} digits, but there are {N_DIGITS}; "
                f"with n_eval={self.n_eval} use n_train <= {N_DIGITS - 3 * self.n_eval}"
            )

    def fingerprint(self) -> str:
        """Return what decides the images besides the parameters: the generator's version."""
        return f"digits_scanners/{GENERATOR_VERSION}"

    def content(self) -> str:
        """Return a hash of the parameters and the generator's version."""
        stated = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if is_stated(f, getattr(self, f.name))
        }
        text = json.dumps({"digits_scanners": GENERATOR_VERSION, **stated}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def load(self) -> ImageData:
        """Render the images."""
        import torch
        from sklearn.datasets import load_digits

        source = load_digits()
        ink = (source.images / 16.0).astype(np.float32)
        parity = (source.target >= 5).astype(np.int64)
        pairing = self.pairing()
        digits, streams, split_of = self._split(parity)
        labels = parity[digits]
        domains = np.empty(len(digits), dtype=np.int64)
        for name in ("train", "id_val"):
            rows = np.flatnonzero(split_of == name)
            domains[rows] = self._assign(labels[rows], pairing, name)
        domains[split_of == "val"] = VAL_SCANNER
        domains[split_of == "ood"] = OOD_SCANNER

        jitter = self._jitter(digits, streams)
        content = scanners.place(ink[digits], jitter, self.image_size)
        styles = scanners.gapped_styles(self.style_gap)

        def rerender(rows: Ints, domain: int) -> torch.Tensor:
            """Return the contents of ``rows``, with their own jitter, as scanner ``domain`` would show them."""
            rows = np.asarray(rows)
            return scanners.scan(content[rows], jitter.rows(rows), styles[domain])

        inputs = torch.empty(len(digits), 3, self.image_size, self.image_size)
        for domain in range(len(scanners.SCANNERS)):
            rows = np.flatnonzero(domains == domain)
            inputs[rows] = rerender(rows, domain)
        splits = {name: np.flatnonzero(split_of == name) for name in ("train", "id_val", "val", "ood")}
        return ImageData(
            inputs=inputs,
            labels=labels,
            domains=domains,
            clusters=digits,
            domain_names=tuple(name for name, _ in scanners.SCANNERS),
            class_names=("0-4", "5-9"),
            splits=splits,
            digest=content_digest(self.content(), labels, domains, digits),
            train_domains=TRAIN_SCANNERS,
            rerender=rerender,
            cluster_space="digits of scikit-learn",
            paired_class={k: {1: 1, -1: 0}.get(int(a)) for k, a in enumerate(pairing)},
        )

    def pairing(self) -> Ints:
        """Return ``a``: for each training scanner +1, -1 or 0, a permutation drawn from the seed."""
        return seeds.rng(self.seed, "digits_scanners/pairing").permutation(np.array([1, -1, 0], dtype=np.int64))

    def _split(self, parity: Ints) -> tuple[Ints, Ints, np.ndarray]:
        """Return digit, jitter stream and split name of every image; each split has equally many of both classes."""
        rng = seeds.rng(self.seed, "digits_scanners/split")
        queues = {label: list(rng.permutation(np.flatnonzero(parity == label))) for label in (0, 1)}
        digits: list[int] = []
        streams: list[int] = []
        names: list[str] = []
        for name, size in (
            ("ood", self.n_eval),
            ("val", self.n_eval),
            ("id_val", self.n_eval),
            ("train", self.n_train),
        ):
            chosen = [queues[i % 2].pop() if queues[i % 2] else queues[1 - i % 2].pop() for i in range(size)]
            for stream in range(1 if name == "train" else self.eval_renderings):
                digits += chosen
                streams += [stream] * size
                names += [name] * size
        return np.array(digits, dtype=np.int64), np.array(streams, dtype=np.int64), np.array(names)

    def _assign(self, labels: Ints, pairing: Ints, split: str) -> Ints:
        """Give every image a scanner such that P(y = 1 | scanner k) = 1/2 + a_k * strength / 2, but for rounding.

        With equally many of both classes and equally used scanners, Bayes' rule gives
        P(scanner k | y) = (1 + (2y - 1) * a_k * strength) / 3.
        """
        rng = seeds.rng(self.seed, f"digits_scanners/scanner/{split}")
        assigned = np.empty(len(labels), dtype=np.int64)
        for label in (0, 1):
            rows = rng.permutation(np.flatnonzero(labels == label))
            shares = (1.0 + (2 * label - 1) * pairing * self.strength) / 3.0
            edges = np.rint(np.cumsum(shares) * len(rows)).astype(np.int64)
            assigned[rows] = np.searchsorted(edges, np.arange(len(rows)), side="right").clip(max=2)
        return assigned

    def _jitter(self, digits: Ints, streams: Ints) -> scanners.Jitter:
        """Draw every image's jitter from a stream of its own, so that it depends on nothing but digit and stream."""
        drawn = [
            scanners.draw_jitter(
                seeds.rng(self.seed, f"digits_scanners/jitter/{digit}/{stream}"), self.image_size, self.jitter
            )
            for digit, stream in zip(digits, streams, strict=True)
        ]
        affine, stroke, light, tint, noise = (np.stack(parts) for parts in zip(*drawn, strict=True))
        return scanners.Jitter(affine, stroke, light, tint, noise)
