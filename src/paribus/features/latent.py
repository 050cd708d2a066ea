"""The ``latent`` option of the ``feature`` group: one feature of the model's sparse autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.errors import ConfigError
from paribus.spec import Spec, field
from paribus.subjects.builds.models.set_model import SAE_SITE, SetModel

if TYPE_CHECKING:
    import torch

    from paribus.features.readers.population import Reader
    from paribus.subjects.builds.vocabulary import Vocabulary


@dataclass(frozen=True)
class Latent(Spec, kind="feature/latent"):
    """One latent of the sparse autoencoder, by its id."""

    id: int = field(0, low=0, help="Number of the latent, from 0.")

    def reader(self, model: SetModel, vocabulary: Vocabulary, generator: torch.Generator) -> Reader:
        """Return the reader of this latent.

        Raises:
            ConfigError: If the model has no autoencoder, or not so many latents.
        """
        from paribus.features.readers.population import Latents, Reader

        sae = model.require_sae()
        if self.id >= sae.n_features:
            last = sae.n_features - 1
            raise ConfigError(f"feature.id={self.id}: the autoencoder has {last + 1} features, numbered 0 to {last}")
        known = model.feature_names[self.id] if self.id < len(model.feature_names) else f"latent {self.id}"
        return Reader(known, Latents(sae, SAE_SITE), self.id, latent=self.id)
