"""The ``planted`` option of the ``model`` group: a set model whose features are known functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.spec import Spec, field
from paribus.subjects.builds.models.set_model import SetModel

if TYPE_CHECKING:
    import torch

PLANTED_VERSION = 1


@dataclass(frozen=True)
class Planted(Spec, kind="model/planted"):
    """A model whose features are known functions of the token set, for tests and for teaching.

    Example:
        >>> Planted(seed=1).fingerprint()
        'planted/1'
    """

    work: ClassVar[str] = "paribus.subjects.builds.models.nets.planted"

    seed: int = field(0, low=0, help="Seed of the random features that nulls are drawn from.")

    def build(
        self, *, tokens: Sequence[str], specials: Sequence[str], generator: torch.Generator | None = None
    ) -> SetModel:
        """Return the model.

        Args:
            tokens: Token names by id.
            specials: Special weapon of every weapon index.
            generator: Not used: the model is the same for every run's seed.
        """
        made: SetModel = self.work_module().build(self, tokens, specials)
        return made

    def fingerprint(self) -> str:
        """Return the version of the planted functions."""
        return f"planted/{PLANTED_VERSION}"
