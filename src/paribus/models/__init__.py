"""Architectures and the safe loading of their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.models.autoencoders import random_sae
    from paribus.models.hf import HF
    from paribus.models.loading import fit_state, load_state
    from paribus.models.mlp import MLP
    from paribus.models.modular_transformer import ModularTransformerSpec
    from paribus.models.nets.sae import SparseAutoencoder
    from paribus.models.resnet18 import ResNet18
    from paribus.models.sae import SAE
    from paribus.models.small_cnn import SmallCNN
    from paribus.models.text_classifier import TextClassifier
    from paribus.models.tracked import Tracked

__all__ = [
    "HF",
    "MLP",
    "ModularTransformerSpec",
    "ResNet18",
    "SAE",
    "SmallCNN",
    "SparseAutoencoder",
    "TextClassifier",
    "Tracked",
    "fit_state",
    "load_state",
    "random_sae",
]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
