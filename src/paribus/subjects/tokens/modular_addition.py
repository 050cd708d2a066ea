"""The ``modular_addition`` option of the ``data`` group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.spec import DataSpec, field

if TYPE_CHECKING:
    from paribus.subjects.tokens.data import TokenData


@dataclass(frozen=True)
class ModularAddition(DataSpec, kind="data/modular_addition"):
    """All pairs of numbers below ``p`` with their sum modulo ``p``; a share of them, drawn by pair, is learned from.

    These are all possible inputs, so there is no sampling over them; claims need several trainings.

    Example:
        >>> ModularAddition(p=7).load().ids.shape
        torch.Size([49, 2])
    """

    work: ClassVar[str] = "paribus.subjects.tokens.data"
    subject: ClassVar[str] = "tokens"
    provides: ClassVar[tuple[str, ...]] = ("n_tokens", "length", "n_classes", "generator")

    p: int = field(31, low=3, high=1000, help="How many numbers there are; the published networks have 59.")
    train_share: float = field(0.65, above=0.0, below=1.0, help="Share of the pairs that is learned from.")
    seed: int = field(0, low=0, help="Draws the training pairs.")

    def load(self) -> TokenData:
        """Return the pairs.

        Raises:
            DataError: If a split is empty.
        """
        made: TokenData = self.work_module().modular_addition(self.p, self.train_share, self.seed)
        return made
