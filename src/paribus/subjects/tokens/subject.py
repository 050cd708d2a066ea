"""Token sequences for the measurement layer: sequences as contexts."""

from __future__ import annotations

from paribus.measure import ArraySubject, Contexts
from paribus.subjects.tokens.data import TokenData


class TokenSubject(ArraySubject):
    """Sequences as contexts; a cell holds a sequence's ids.

    Attributes:
        data: The sequences.
    """

    name = "tokens"

    def __init__(self, data: TokenData) -> None:
        """Hold the sequences."""
        self.data = data
        super().__init__(
            Contexts(
                inputs=data.ids,
                cluster=data.clusters,
                label=data.labels,
                splits=data.splits,
                output_names=data.class_names,
            )
        )
