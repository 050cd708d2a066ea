"""Options of the ``feature`` group that name a feature of the planted model, such as ``feature=threshold``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.errors import ConfigError, nearest
from paribus.spec import Spec, field
from paribus.subjects.builds.models.set_model import SAE_SITE, SetModel

if TYPE_CHECKING:
    import torch

    from paribus.features.readers.population import Reader
    from paribus.subjects.builds.vocabulary import Vocabulary


@dataclass(frozen=True)
class PlantedFeature(Spec, kind="feature/planted"):
    """One feature of the planted model, by name."""

    name: str = field("threshold", help="Name of the planted feature.")

    def reader(self, model: SetModel, vocabulary: Vocabulary, generator: torch.Generator) -> Reader:
        """Return the reader of this feature.

        Raises:
            ConfigError: If the model has no feature of that name.
        """
        from paribus.features.readers.population import Latents, Reader

        if self.name not in model.feature_names:
            if not model.feature_names:
                raise ConfigError(
                    f"feature.name={self.name}: features have names in model=planted only; "
                    "use feature=latent feature.id=N here"
                )
            raise ConfigError(f"no planted feature {self.name!r}; {nearest(self.name, model.feature_names, show=20)}")
        row = model.feature_names.index(self.name)
        return Reader(self.name, Latents(model.require_sae(), SAE_SITE), row, latent=row)
