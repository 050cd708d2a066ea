"""The ``token_file`` option of the ``data`` group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.spec import DataSpec, field


@dataclass(frozen=True)
class TokenFile(DataSpec, kind="data/token_file"):
    """Sequences of token ids from a file of lines, a JSON object each.

    ``{"ids": [5, 9, 2], "cluster": "a", "split": "test", "answer": 7, "against": [8]}``: only ``ids`` must be there.
    With ``answer`` the model is asked for this token after the last one; without, for every next token. Shorter
    sequences are padded.

    Example:
        >>> TokenFile(path="ids.jsonl", n_tokens=100).padding
        'right'
    """

    subject: ClassVar[str] = "tokens"
    provides: ClassVar[tuple[str, ...]] = ("n_tokens", "length", "n_classes", "generator")
    work: ClassVar[str] = "paribus.subjects.tokens.language"

    path: str = field(file=True, help="File of JSON lines.")
    n_tokens: int = field(low=2, help="How many tokens the model knows.")
    padding: str = field(
        "right",
        choices=("right", "left"),
        help="Where shorter sequences are padded; left: with position_ids that count from the first token.",
    )
    pad: int = field(0, low=0, help="Token that pads; it is masked.")
    sink: bool = field(True, help="Whether the first token is left out of what is pooled over positions.")
