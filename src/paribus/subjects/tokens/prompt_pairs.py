"""The ``prompt_pairs`` option of the ``data`` group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from paribus.errors import ConfigError
from paribus.spec import DataSpec, field, path_of
from paribus.subjects.tokens.tokenizer_files import tokenizer_files


@dataclass(frozen=True)
class PromptPairs(DataSpec, kind="data/prompt_pairs"):
    """Pairs of prompts from a CSV or JSONL file: a clean one, and the same with something changed in it.

    A row has ``clean`` and ``corrupted``, the ``answer`` (a single token) to the clean prompt, and where there are any
    ``wrong`` (tokens that it is compared with; several joined by ``|``), ``cluster`` and ``split``. Prompts name
    positions: ``The {subject:Eiffel Tower} is in the city of`` has ``@subject``, ``@subject.first`` and
    ``@subject.last``; every prompt has ``@end``. Instead of both prompts a row, or ``template`` below, may give a
    template, ``The {subject} is in the city of``, and columns ``clean_subject`` and ``corrupted_subject``, or
    ``subject`` for both. What is read of a corrupted prompt is the answer to the clean one.

    Text is cut into tokens by the model's own tokenizer, from its folder or GGUF file; nothing is downloaded. Without
    one, ``clean`` and ``corrupted`` are lists of ids (JSONL), ``answer`` and ``wrong`` ids, and ``positions`` says
    where names are: ``{"subject": [1, 2]}``.

    Example:
        >>> PromptPairs(path="pairs.csv", tokenizer="models/gpt2").unequal
        'refuse'
    """

    subject: ClassVar[str] = "tokens"
    provides: ClassVar[tuple[str, ...]] = ("n_tokens", "length", "n_classes", "generator")
    work: ClassVar[str] = "paribus.subjects.tokens.prompts"

    path: str = field(file=True, help="CSV or JSONL file of pairs.")
    tokenizer: str | None = field(
        None, file=True, help="Folder of the model, its tokenizer.json, or a GGUF file; null: the file holds ids."
    )
    template: str | None = field(None, help="Prompt of both sides, for rows that give only what is in its {names}.")
    n_tokens: int | None = field(None, low=2, help="How many tokens the model knows; null: as many as its tokenizer.")
    padding: str = field("left", choices=("left", "right"), help="Where shorter prompts are padded.")
    pad: int = field(0, low=0, help="Token that pads; it is masked.")
    first: int | None = field(None, low=0, help="Token put before every prompt; null: what the tokenizer puts there.")
    sink: bool = field(True, help="Whether the first token is left out of what is pooled over positions.")
    unequal: str = field(
        "refuse",
        choices=("refuse", "keep"),
        help="Pairs whose prompts have different numbers of tokens: refuse them, or keep them, for patches at named "
        "positions alone.",
    )

    def check(self) -> None:
        """Refuse ids of which nothing says how many there are.

        Raises:
            ConfigError: If they are.
        """
        if self.tokenizer is None and self.n_tokens is None:
            raise ConfigError(
                "PromptPairs.tokenizer: name the folder or GGUF file of the model's tokenizer; for a file of ids say "
                "data.n_tokens"
            )

    def input_files(self) -> Mapping[str, Path]:
        """Return the file, and those that the tokenizer is made of."""
        found = {"path": path_of(self.path)}
        if self.tokenizer is None:
            return found
        place = path_of(self.tokenizer)
        if not place.is_dir():
            return {**found, "tokenizer": place}
        return {**found, **tokenizer_files(place)}
