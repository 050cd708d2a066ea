"""The ``unit`` option of the ``feature`` group: one unit at a site."""

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
class Unit(Spec, kind="feature/unit"):
    """One unit of the vector at a site (positions of a sequence are averaged over real tokens)."""

    id: int = field(0, low=0, help="Number of the unit, from 0.")
    site: str = field(SAE_SITE, help="Module whose output (or with .input its input) is read.")

    def reader(self, model: SetModel, vocabulary: Vocabulary, generator: torch.Generator) -> Reader:
        """Return the reader of this unit.

        Raises:
            ConfigError: If there is no such site, or not so many units.
        """
        from paribus.features.readers.capture import width_at
        from paribus.features.readers.population import Reader, Units

        width = width_at(model, self.site)
        if self.id >= width:
            raise ConfigError(f"feature.id={self.id}: {self.site} has {width} units, numbered 0 to {width - 1}")
        return Reader(f"unit {self.id} at {self.site}", Units(width, self.site), self.id)
