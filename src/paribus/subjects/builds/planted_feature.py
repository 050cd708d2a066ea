"""Options of the ``feature`` group that name a feature of the planted model, such as ``feature=threshold``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.errors import ConfigError, nearest
from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch

    from paribus.features.readable import Readable
    from paribus.features.reader import Reader


@dataclass(frozen=True)
class PlantedFeature(Spec, kind="feature/planted"):
    """One feature of the planted model, by name.

    Example:
        >>> PlantedFeature("dose").name
        'dose'
    """

    name: str = field("threshold", help="Name of the planted feature.")

    def reader(self, network: Readable, generator: torch.Generator) -> Reader:
        """Return the reader of this feature.

        Raises:
            ConfigError: If the model has no feature of that name.
        """
        known = network.latent_names
        if not known:
            raise ConfigError(
                f"feature.name={self.name}: features have names in model=planted only; "
                "use feature=latent feature.id=N here"
            )
        if self.name not in known:
            raise ConfigError(f"no planted feature {self.name!r}; {nearest(self.name, known, show=20)}")
        return network.latent(known.index(self.name))
