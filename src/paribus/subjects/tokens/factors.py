"""What is varied in token sequences: an option of the ``factor`` group, without anything that needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.measure.binding import FactorSpec
from paribus.spec import field


@dataclass(frozen=True)
class TokenAt(FactorSpec, kind="factor/token_at"):
    """A token at one position, all others left as they are.

    The right answer of the edited sequence may differ; readouts of the own label keep referring to the original
    sequence. If that is not wanted, read a feature, an output or kl.

    Example:
        >>> TokenAt(position=-1, tokens=[3, 5]).subject
        'tokens'
    """

    subject: ClassVar[str] = "tokens"
    work: ClassVar[str] = "paribus.subjects.tokens.varied"

    position: int = field(0, help="Where, from 0, or from the end from -1.")
    tokens: list[int] = field(
        [],
        once=2,
        low=0,
        help="Which tokens, the baseline first; empty: all there are, evenly spread, up to most.",
    )
    most: int = field(10, low=2, help="The most tokens where none are named.")
