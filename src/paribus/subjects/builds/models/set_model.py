"""A set model as experiments use it: the network, the place features are read, and its sparse autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from paribus.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    from paribus.models.nets.sae import SparseAutoencoder

SAE_SITE = "output_layer.input"
"""Where the sparse autoencoder reads: the pooled vector before the last layer."""


@runtime_checkable
class BringsVocabulary(Protocol):
    """A model whose files say what tokens and weapons are; the data are read in these."""

    def vocabulary_files(self) -> tuple[Path, Path]:
        """Return the files of the token and the weapon vocabulary."""


@runtime_checkable
class Restores(Protocol):
    """A model that can be restored from what its training published."""

    def restore(self, published: Any, *, tokens: Any, specials: Any, name: str) -> SetModel:
        """Return the model."""


@dataclass(frozen=True)
class SetModel:
    """A network that reads (token ids [B, L], weapon id [B, 1], padding mask [B, L]) and scores every token.

    Attributes:
        network: The module; with ``reads_source`` it takes the source build [B] as a fourth input.
        sae: The autoencoder at ``SAE_SITE``; None where there is none.
        feature_names: Names of the autoencoder's features, where they have any (the planted model's do).
        reads_source: Whether the network depends on the source build.
        name: What to call the model.
    """

    network: nn.Module
    sae: SparseAutoencoder | None = None
    feature_names: tuple[str, ...] = ()
    reads_source: bool = False
    name: str = "model"

    def require_sae(self) -> SparseAutoencoder:
        """Return the autoencoder.

        Raises:
            ConfigError: If the model has none.
        """
        if self.sae is None:
            raise ConfigError(
                f"model {self.name} has no sparse autoencoder, so feature=latent cannot be read; "
                "give model.sae, or use feature=unit, direction, logit or margin"
            )
        return self.sae
