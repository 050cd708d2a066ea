"""The ``logit`` option of the ``feature`` group: the model's output for one token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.spec import Spec, field
from paribus.subjects.builds.models.set_model import SetModel

if TYPE_CHECKING:
    import torch

    from paribus.features.readers.population import Reader
    from paribus.subjects.builds.vocabulary import Vocabulary


@dataclass(frozen=True)
class Logit(Spec, kind="feature/logit"):
    """The output for one token; its null population is the outputs for all other tokens."""

    token: str = field("swim_speed_up_12", help="Name of the token.")
    probability: bool = field(False, help="Report the sigmoid as activation (the logit stays the pre-activation).")

    def reader(self, model: SetModel, vocabulary: Vocabulary, generator: torch.Generator) -> Reader:
        """Return the reader of this output.

        Raises:
            ConfigError: If the vocabulary has no such token.
        """
        from paribus.features.readers.population import Logits, Reader

        name, row, ids = ability_row(self.token, vocabulary)
        return Reader(f"logit {name}", Logits(ids, probability=self.probability), row)


def ability_row(token: str, vocabulary: Vocabulary) -> tuple[str, int, torch.Tensor]:
    """Return a token's full name, its place among the ability tokens, and the ids of all of these.

    Raises:
        ConfigError: If the vocabulary has no such token.
    """
    import torch

    name = vocabulary.token_name(vocabulary.token(token))
    ids = torch.tensor([vocabulary.ids[known] for known in vocabulary.ability_tokens])
    return name, vocabulary.ability_tokens.index(name), ids
