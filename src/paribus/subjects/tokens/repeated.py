"""The ``repeated_tokens`` option of the ``data`` group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.spec import DataSpec, field

if TYPE_CHECKING:
    from paribus.subjects.tokens.data import TokenData


@dataclass(frozen=True)
class RepeatedTokens(DataSpec, kind="data/repeated_tokens"):
    """Random tokens, repeated once: after the first copy every next token can be known from the first.

    Each sequence is a cluster of its own. Sequences of the split ``train`` are there to rank and to fit on, those of
    ``test`` to report. Beside each is the same sequence with other random tokens instead of the second copy.

    Example:
        >>> data = RepeatedTokens(n_sequences=2, n_reference=1, length=4, n_tokens=50).load()
        >>> data.ids.shape, data.targets.positions[0].tolist()
        (torch.Size([3, 9]), [5, 6, 7])
    """

    subject: ClassVar[str] = "tokens"
    provides: ClassVar[tuple[str, ...]] = ("n_tokens", "length", "n_classes", "generator")
    work: ClassVar[str] = "paribus.subjects.tokens.language"

    n_sequences: int = field(16, low=2, help="Sequences that are reported.")
    n_reference: int = field(8, low=0, help="Sequences that rankings and means are made on.")
    length: int = field(25, low=2, help="Tokens of a copy.")
    n_tokens: int = field(49_152, low=8, help="How many tokens the model knows.")
    lowest: int = field(3, low=0, help="Smallest token that is drawn; those below are special ones.")
    first: int | None = field(0, low=0, help="Token that starts every sequence; null: none.")
    seed: int = field(0, low=0, help="Draws the tokens.")

    def check(self) -> None:
        """Check that there are tokens to draw from.

        Raises:
            ConfigError: If not.
        """
        if self.lowest >= self.n_tokens - 1 or (self.first or 0) >= self.n_tokens:
            raise ConfigError(f"RepeatedTokens.lowest: there are {self.n_tokens} tokens, got {self.lowest}")

    def load(self) -> TokenData:
        """Return the sequences."""
        made: TokenData = self.work_module().repeated(self)
        return made
