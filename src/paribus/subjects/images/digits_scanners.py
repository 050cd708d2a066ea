"""Handwritten digits seen by five scanners, three of them tied to the label: a shortcut of known strength."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paribus import seeds
from paribus.arrays import Ints
from paribus.config.science import stated
from paribus.errors import ConfigError
from paribus.spec import DataSpec, field
from paribus.subjects.images.splits import PROVIDES

GENERATOR_VERSION = 1
"""Raised whenever the same parameters would give other images; part of the fingerprint."""

N_DIGITS = 1797


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

    work: ClassVar[str] = "paribus.subjects.images._digits_scanners"
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
        text = json.dumps({"digits_scanners": GENERATOR_VERSION, **stated(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def pairing(self) -> Ints:
        """Return ``a``: for each training scanner +1, -1 or 0, a permutation drawn from the seed."""
        return seeds.rng(self.seed, "digits_scanners/pairing").permutation(np.array([1, -1, 0], dtype=np.int64))
