"""Labelled images from several domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.subjects.images.arrays import Arrays
    from paribus.subjects.images.camelyon17 import Camelyon17
    from paribus.subjects.images.data import ImageData, content_digest
    from paribus.subjects.images.digits_scanners import DigitsScanners
    from paribus.subjects.images.factors import Patches, Style
    from paribus.subjects.images.image_folder import ImageFolder

__all__ = ["Arrays", "Camelyon17", "DigitsScanners", "ImageData", "ImageFolder", "Patches", "Style", "content_digest"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
