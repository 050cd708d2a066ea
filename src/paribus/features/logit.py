"""The ``logit`` option of the ``feature`` group: the model's output for one token or class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch

    from paribus.features.readable import Readable
    from paribus.features.reader import Reader


@dataclass(frozen=True)
class Logit(Spec, kind="feature/logit"):
    """One output; its null population is the other outputs.

    Example:
        >>> Logit(token="comeback", probability=True).probability
        True
    """

    token: str = field("swim_speed_up_12", help="Name of the token; of another network's output, or its number.")
    probability: bool = field(False, help="Report the sigmoid as activation (the logit stays the pre-activation).")

    def reader(self, network: Readable, generator: torch.Generator) -> Reader:
        """Return the reader of this output.

        Raises:
            ConfigError: If the network has no such output.
        """
        return network.logit(self.token, probability=self.probability)
