"""What is read from a model: one scalar at a site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.features.columns import Directions, Latents, Logits, Units
    from paribus.features.direction import Direction
    from paribus.features.latent import Latent
    from paribus.features.logit import Logit
    from paribus.features.margin import Margin
    from paribus.features.readable import Outputs, Readable
    from paribus.features.reader import Reader
    from paribus.features.unit import Unit

__all__ = [
    "Direction",
    "Directions",
    "Latent",
    "Latents",
    "Logit",
    "Logits",
    "Margin",
    "Outputs",
    "Readable",
    "Reader",
    "Unit",
    "Units",
]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
