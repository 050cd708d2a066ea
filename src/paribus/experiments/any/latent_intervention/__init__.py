"""Latents of a sparse autoencoder set to 0, their mean, their largest or stated values, at any place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.latent_intervention.spec import LatentIntervention

__all__ = ["LatentIntervention"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
