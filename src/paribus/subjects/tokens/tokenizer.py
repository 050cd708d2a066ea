"""Texts become token ids by the tokenizer that lies beside a model, read from its file; nothing is downloaded."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paribus.arrays import Bools, Ints
from paribus.errors import DataError
from paribus.spec import path_of

FILE = "tokenizer.json"
MOST_TOKENS = 1 << 28


@dataclass(frozen=True, eq=False)
class Encoded:
    """Texts as token ids.

    Attributes:
        ids: ``[n, length]``, padded on the right.
        mask: Which of them are read ``[n, length]``.
        cut: Which texts were longer and lost their end ``[n]``.
        n_tokens: How many tokens there are.
    """

    ids: Ints
    mask: Bools
    cut: Bools
    n_tokens: int

    def part(self, start: int, end: int) -> Encoded:
        """Return the texts from ``start`` up to ``end``."""
        some = slice(start, end)
        return Encoded(self.ids[some], self.mask[some], self.cut[some], self.n_tokens)


def tokenizer_file(text: str) -> Path:
    """Return the file of a tokenizer: the one that is named, or the one in the folder of a model.

    Raises:
        DataError: If there is none.

    Example:
        >>> try:
        ...     tokenizer_file("nowhere")
        ... except DataError as error:
        ...     print(error)
        data.tokenizer=nowhere: needs a tokenizer.json, or the folder of a model that has one; nothing is downloaded
    """
    place = path_of(text)
    found = place / FILE if place.is_dir() else place
    if found.suffix != ".json" or not found.is_file():
        raise DataError(
            f"data.tokenizer={text}: needs a {FILE}, or the folder of a model that has one; nothing is downloaded"
        )
    return found


def encode(texts: Sequence[str], tokenizer: str, max_length: int) -> Encoded:
    """Return texts as ids, with the special tokens that the tokenizer puts around them.

    Args:
        texts: The texts.
        tokenizer: Its file, or the folder of a model.
        max_length: The most tokens of a text, special ones included; what is longer loses its end.

    Raises:
        DataError: If the package ``tokenizers`` or the file is missing or damaged, a text has no token, or all together
            are too many.
    """
    file = tokenizer_file(tokenizer)
    made = _read(file, tokenizer)
    made.no_padding()
    try:
        made.enable_truncation(max_length)
        encoded = made.encode_batch(list(texts))
    except Exception as error:  # the package raises plain exceptions of its own
        raise DataError(f"data.max_length={max_length}: {_one_line(error)}") from None
    sizes = np.array([len(one.ids) for one in encoded])
    if not sizes.all():
        raise DataError(f"texts: {texts[int(sizes.argmin())]!r:.60} has no token")
    length = int(sizes.max())
    if length * len(texts) > MOST_TOKENS:
        raise DataError(f"texts: {len(texts)} of up to {length} tokens take too much memory; set data.max_length lower")
    ids = np.full((len(texts), length), _padding(made), np.int64)
    mask = np.arange(length)[None] < sizes[:, None]
    for row, one in enumerate(encoded):
        ids[row, : sizes[row]] = one.ids
    return Encoded(ids, mask, np.array([bool(one.overflowing) for one in encoded]), int(made.get_vocab_size()))


def _read(file: Path, named: str) -> Any:
    if importlib.util.find_spec("tokenizers") is None:
        raise DataError("data.tokenizer: needs the package tokenizers; pip install 'paribus[text]'")
    package: Any = importlib.import_module("tokenizers")  # an optional package
    try:
        return package.Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except Exception as error:  # the package raises plain exceptions of its own
        raise DataError(f"data.tokenizer={named}: is no tokenizer ({_one_line(error)})") from None


def _padding(tokenizer: Any) -> int:
    """Return the id that pads; what is padded is never read, so any will do where the tokenizer has none."""
    known = (tokenizer.token_to_id(name) for name in ("[PAD]", "<pad>", "<|padding|>"))
    return next((one for one in known if one is not None), 0)


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
