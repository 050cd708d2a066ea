"""Options of the ``factor`` group that change images: the fields, without anything that needs pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.errors import ConfigError
from paribus.measure.binding import FactorSpec
from paribus.spec import field

FILLS = ("mean", "zero")


@dataclass(frozen=True)
class ImageFactor(FactorSpec):
    """Base of the factors of images; the work is in ``paribus.subjects.images.edits``."""

    work: ClassVar[str] = "paribus.subjects.images.edits"
    subject: ClassVar[str] = "images"


@dataclass(frozen=True)
class Style(ImageFactor, kind="factor/style"):
    """The same content in the style of several domains, its jitter unchanged; of generated data sets only.

    Example:
        >>> Style(domains=["scanner_a"], baseline="scanner_b").baseline
        'scanner_b'
    """

    domains: list[str] = field([], once=0, help="Domains in whose style images are shown, a level each; empty: all.")
    baseline: str | None = field(
        None, help="Domain whose style is the first level, as experiment=swap wants it; null: every image as it is."
    )

    def check(self) -> None:
        """Refuse a domain that is the baseline too."""
        if self.baseline in self.domains:
            raise ConfigError(f"Style.domains: each once, and not the baseline, got {self.domains}")


@dataclass(frozen=True)
class Patches(ImageFactor, kind="factor/patches"):
    """Rectangles of the image, each a unit that is shown or filled with one colour.

    Example:
        >>> Patches(grid=3).fill
        'mean'
    """

    grid: int = field(4, low=2, high=32, help="Patches across and down.")
    fill: str = field(
        "mean",
        choices=FILLS,
        help="What a hidden patch shows: the mean colour of its own image, or zero, the data set's mean colour.",
    )
