"""Renders digits as five scanners show them."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits

from paribus import seeds
from paribus.arrays import Ints
from paribus.subjects.images import scanners
from paribus.subjects.images.data import ImageData, content_digest
from paribus.subjects.images.digits_scanners import DigitsScanners

TRAIN_SCANNERS, VAL_SCANNER, OOD_SCANNER = (0, 1, 2), 3, 4


def load(spec: DigitsScanners) -> ImageData:
    """Render the images."""
    source = load_digits()
    ink = (source.images / 16.0).astype(np.float32)
    parity = (source.target >= 5).astype(np.int64)
    pairing = spec.pairing()
    digits, streams, split_of = _split(spec, parity)
    labels = parity[digits]
    domains = np.empty(len(digits), dtype=np.int64)
    for name in ("train", "id_val"):
        rows = np.flatnonzero(split_of == name)
        domains[rows] = _assign(spec, labels[rows], pairing, name)
    domains[split_of == "val"] = VAL_SCANNER
    domains[split_of == "ood"] = OOD_SCANNER

    jitter = _jitter(spec, digits, streams)
    content = scanners.place(ink[digits], jitter, spec.image_size)
    styles = scanners.gapped_styles(spec.style_gap)

    def rerender(rows: Ints, domain: int) -> torch.Tensor:
        """Return the contents of ``rows``, with their own jitter, as scanner ``domain`` would show them."""
        rows = np.asarray(rows)
        return scanners.scan(content[rows], jitter.rows(rows), styles[domain])

    inputs = torch.empty(len(digits), 3, spec.image_size, spec.image_size)
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
        digest=content_digest(spec.content(), labels, domains, digits),
        train_domains=TRAIN_SCANNERS,
        rerender=rerender,
        cluster_space="digits of scikit-learn",
        paired_class={k: {1: 1, -1: 0}.get(int(a)) for k, a in enumerate(pairing)},
    )


def _split(spec: DigitsScanners, parity: Ints) -> tuple[Ints, Ints, np.ndarray]:
    """Return digit, jitter stream and split name of every image; each split has equally many of both classes."""
    rng = seeds.rng(spec.seed, "digits_scanners/split")
    queues = {label: list(rng.permutation(np.flatnonzero(parity == label))) for label in (0, 1)}
    digits: list[int] = []
    streams: list[int] = []
    names: list[str] = []
    for name, size in (
        ("ood", spec.n_eval),
        ("val", spec.n_eval),
        ("id_val", spec.n_eval),
        ("train", spec.n_train),
    ):
        chosen = [queues[i % 2].pop() if queues[i % 2] else queues[1 - i % 2].pop() for i in range(size)]
        for stream in range(1 if name == "train" else spec.eval_renderings):
            digits += chosen
            streams += [stream] * size
            names += [name] * size
    return np.array(digits, dtype=np.int64), np.array(streams, dtype=np.int64), np.array(names)


def _assign(spec: DigitsScanners, labels: Ints, pairing: Ints, split: str) -> Ints:
    """Give every image a scanner such that P(y = 1 | scanner k) = 1/2 + a_k * strength / 2, but for rounding.

    With equally many of both classes and equally used scanners, Bayes' rule gives
    P(scanner k | y) = (1 + (2y - 1) * a_k * strength) / 3.
    """
    rng = seeds.rng(spec.seed, f"digits_scanners/scanner/{split}")
    assigned = np.empty(len(labels), dtype=np.int64)
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        shares = (1.0 + (2 * label - 1) * pairing * spec.strength) / 3.0
        edges = np.rint(np.cumsum(shares) * len(rows)).astype(np.int64)
        assigned[rows] = np.searchsorted(edges, np.arange(len(rows)), side="right").clip(max=2)
    return assigned


def _jitter(spec: DigitsScanners, digits: Ints, streams: Ints) -> scanners.Jitter:
    """Draw every image's jitter from a stream of its own, so that it depends on nothing but digit and stream."""
    drawn = [
        scanners.draw_jitter(
            seeds.rng(spec.seed, f"digits_scanners/jitter/{digit}/{stream}"), spec.image_size, spec.jitter
        )
        for digit, stream in zip(digits, streams, strict=True)
    ]
    affine, stroke, light, tint, noise = (np.stack(parts) for parts in zip(*drawn, strict=True))
    return scanners.Jitter(affine, stroke, light, tint, noise)
