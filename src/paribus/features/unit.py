"""The ``unit`` option of the ``feature`` group: one unit at a site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch

    from paribus.features.readable import Readable
    from paribus.features.reader import Reader


@dataclass(frozen=True)
class Unit(Spec, kind="feature/unit"):
    """One unit of the vector at a site (averaged over positions; of a set, over its real tokens).

    Example:
        >>> Unit(id=3, site="encoder.2").site
        'encoder.2'
    """

    id: int = field(0, low=0, help="Number of the unit, from 0.")
    site: str = field("output_layer.input", help="Module whose output (or with .input its input) is read.")

    def reader(self, network: Readable, generator: torch.Generator) -> Reader:
        """Return the reader of this unit.

        Raises:
            ConfigError: If there is no such site, or not so many units.
        """
        return network.unit(self.id, self.site)
