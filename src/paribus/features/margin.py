"""The ``margin`` option of the ``feature`` group: one token's output against all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.features.logit import ability_row
from paribus.spec import Spec, field
from paribus.subjects.builds.models.set_model import SetModel

if TYPE_CHECKING:
    import torch

    from paribus.features.readers.population import Reader
    from paribus.subjects.builds.vocabulary import Vocabulary


@dataclass(frozen=True)
class Margin(Spec, kind="feature/margin"):
    """The logit of one token minus the mean of all other logits."""

    token: str = field("swim_speed_up_12", help="Name of the token.")

    def reader(self, model: SetModel, vocabulary: Vocabulary, generator: torch.Generator) -> Reader:
        """Return the reader of this margin.

        Raises:
            ConfigError: If the vocabulary has no such token.
        """
        from paribus.features.readers.population import Logits, Reader

        name, row, ids = ability_row(self.token, vocabulary)
        return Reader(f"margin {name}", Logits(ids, against_others=True), row)
