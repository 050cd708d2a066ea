"""Token sequences as a subject: what their loaders give, and how that becomes contexts."""

from __future__ import annotations

from paribus.subjects.kind import Kind
from paribus.subjects.overlap import overlap, unlike
from paribus.subjects.tokens.data import TokenData
from paribus.subjects.tokens.subject import TokenSubject


def _shape(data: TokenData) -> str:
    return f"{data.ids.shape[1]} of {data.n_tokens} tokens, {data.n_classes} answers"


TOKENS = Kind("tokens", TokenData, TokenSubject, ("modular_addition", "modular_transformer"), overlap, unlike, _shape)
