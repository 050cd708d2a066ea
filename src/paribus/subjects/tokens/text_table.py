"""The ``text_table`` option of the ``data`` group: a file with one text per row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from paribus.spec import field, path_of
from paribus.subjects.columns_by_role import RowsFromFile
from paribus.subjects.tokens.tokenizer_files import FILE, tokenizer_files


@dataclass(frozen=True, kw_only=True)
class TextTable(RowsFromFile, kind="data/text_table"):
    """A CSV, JSONL or parquet file with one text per row: its label, and where it comes from, by columns.

    Texts become ids by the model's own tokenizer (a ``tokenizer.json``, a folder or a GGUF file; extra ``text``);
    shorter ones are padded on the right, and what is padded is never read.

    Example:
        >>> TextTable(path="notes.csv", text="note", label="outcome", tokenizer="models/minilm").max_length
        128
    """

    work: ClassVar[str] = "paribus.subjects.tokens.texts"
    subject: ClassVar[str] = "tokens"
    provides: ClassVar[tuple[str, ...]] = ("n_tokens", "length", "n_classes", "generator")

    tokenizer: str = field(file=True, help="Folder of the model, its tokenizer.json, or a GGUF file.")
    text: str = field("text", help="Column that holds the text.")
    label: str = field("label", help="Column that holds the class.")
    max_length: int = field(128, low=4, high=8192, help="The most tokens of a text; what is longer loses its end.")
    missing: str = field(
        "refuse", choices=("refuse", "drop"), help="Rows that lack a value: none allowed, or left out."
    )
    renderings: str | None = field(
        None,
        help="What the columns begin with that hold each text as each domain would write it (as_ for as_north and "
        "as_south): with them domain_swap says what the style alone does. null for none.",
    )

    def input_files(self) -> Mapping[str, Path]:
        """Return the table and the tokenizer's file: of a folder that has a ``tokenizer.json`` nothing else counts.

        Raises:
            DataError: If the table is a folder, which would be read file by file before anything is said.
        """
        table, place = {"path": super().input_files()["path"]}, path_of(self.tokenizer)
        found = tokenizer_files(place)
        if found and FILE not in found:
            return {**table, **found}
        return {**table, "tokenizer": place / FILE if place.is_dir() else place}

    def check(self) -> None:
        """Check that no column has two roles, and that domains are named only where a column says them.

        Raises:
            ConfigError: If one has, or they are named without need.
        """
        self.roles({"text": self.text})
