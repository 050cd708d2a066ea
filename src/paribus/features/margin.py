"""The ``margin`` option of the ``feature`` group: one output against all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch

    from paribus.features.readable import Readable
    from paribus.features.reader import Reader


@dataclass(frozen=True)
class Margin(Spec, kind="feature/margin"):
    """The logit of one output minus the mean of all other logits.

    Example:
        >>> Margin(token="comeback").token
        'comeback'
    """

    token: str = field("swim_speed_up_12", help="Name of the token; of another network's output, or its number.")

    def reader(self, network: Readable, generator: torch.Generator) -> Reader:
        """Return the reader of this margin.

        Raises:
            ConfigError: If the network has no such output.
        """
        return network.margin(self.token)
