"""Token sequences as a subject: what their loaders give, and how that becomes contexts."""

from __future__ import annotations

from paribus.subjects import overlap as rows_of_files
from paribus.subjects.kind import Kind
from paribus.subjects.labelled import Overlap
from paribus.subjects.tokens.data import TokenData
from paribus.subjects.tokens.subject import TokenSubject


def _shape(data: TokenData) -> str:
    return f"{data.ids.shape[1]} of {data.n_tokens} tokens, {data.n_classes} answers"


def _overlap(own: TokenData, data: TokenData) -> Overlap:
    if own.contents is None or data.contents is None:
        return Overlap(same={}, related={})
    return rows_of_files.overlap(own, data)


def _unlike(own: TokenData, data: TokenData) -> list[str]:
    if own.contents is None or data.contents is None:
        return []
    return rows_of_files.unlike(own, data)


TOKENS = Kind(
    "tokens",
    TokenData,
    TokenSubject,
    ("modular_addition", "modular_transformer"),
    overlap=_overlap,
    unlike=_unlike,
    shape=_shape,
)
