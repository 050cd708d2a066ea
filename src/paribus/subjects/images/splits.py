"""What the options of image data share: how images of several domains are split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.spec import DataSpec, field

PROVIDES = ("in_channels", "n_classes", "image_size", "n_features", "generator")
"""Arguments that a function which makes a network for images is given."""
HELD_OUT = ("id_val", "val")
"""Splits that are held out of the training images where nothing gives them."""


@dataclass(frozen=True)
class ImagesByDomain(DataSpec):
    """Base of an option of image data that have a class each, and may have a domain and a cluster.

    Example:
        >>> from paribus.subjects.images.arrays import Arrays
        >>> Arrays(path="images.npz").held_out
        ['id_val', 'val']
    """

    subject: ClassVar[str] = "images"
    provides: ClassVar[tuple[str, ...]] = PROVIDES

    path: str = field(file=True, help="The file or folder.")
    ood_domain: str | None = field(None, help="Domain that is only reported, by name or number; null for none.")
    train_domains: list[str] = field([], help="Names or numbers of the training domains; empty for all others.")
    val_domain: str | None = field(None, help="Domain for every choice; null holds out clusters of the training ones.")
    classes: list[str] = field([], help="Names of the classes to keep; empty for all.")
    n_train: int | None = field(None, low=2, help="Training images; null for all.")
    n_eval: int | None = field(None, low=2, help="Most images of each other split; null for all.")
    id_val_share: float = field(0.2, above=0.0, below=1.0, help="Share of the training clusters held out for id_val.")
    balance: bool = field(True, help="Whether draws are balanced over domain x class.")
    held_out: list[str] = field(
        list(HELD_OUT),
        choices=HELD_OUT,
        unstated=list(HELD_OUT),
        help="Splits that are held out of the training images where the data or a domain do not give them.",
    )
    seed: int = field(0, help="Draws held-out clusters and rows.")
