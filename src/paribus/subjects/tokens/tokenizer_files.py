"""Which local files a model's tokenizer is made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FILE = "tokenizer.json"
"""The whole tokenizer, where a folder has it."""
FILES = (
    *(FILE, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json"),
    *("tokenizer.model", "spiece.model", "vocab.json", "merges.txt", "vocab.txt"),
)
"""Files of a folder that a tokenizer is made of."""


def tokenizer_files(folder: Path) -> Mapping[str, Path]:
    """Return those files of a folder that are there, by their names.

    Example:
        >>> tokenizer_files(Path("nowhere"))
        {}
    """
    return {name: folder / name for name in FILES if (folder / name).is_file()}
