"""A model's own tokenizer, read from local files in one way for all data; nothing is downloaded."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paribus.arrays import Bools, Ints
from paribus.errors import DataError, message_of
from paribus.spec import path_of
from paribus.subjects.tokens.tokenizer_files import FILE

MOST_TOKENS = 1 << 28
PROBE = "Aa"
"""A text that shows what a tokenizer puts around texts, and whether it makes letters small."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Texts as token ids.

    Attributes:
        ids: ``[n, length]``, padded on the right.
        mask: Which of them are read ``[n, length]``.
        cut: Which texts were longer and lost their end ``[n]``.
    """

    ids: Ints
    mask: Bools
    cut: Bools

    def part(self, start: int, end: int) -> Encoded:
        """Return the texts from ``start`` up to ``end``."""
        some = slice(start, end)
        return Encoded(self.ids[some], self.mask[some], self.cut[some])


class Tokenizer:
    """A tokenizer as the package ``tokenizers`` runs it.

    A ``tokenizer.json`` is all of one, so it alone is read where there is one: what ``transformers`` makes of the files
    beside it depends on its version. ``transformers`` makes the tokenizer of a GGUF file, and of a folder of
    vocabularies.

    Attributes:
        n_tokens: How many tokens it knows.
        notes: Where the files beside a ``tokenizer.json`` say otherwise.

    Example:
        >>> try:
        ...     Tokenizer("nowhere")
        ... except DataError as error:
        ...     print(error)
        data.tokenizer=nowhere: needs a tokenizer.json, a .gguf file, or the folder of a model; nothing is downloaded
    """

    def __init__(self, path: str) -> None:
        """Read it.

        Args:
            path: A ``tokenizer.json``, a GGUF file, or the folder of a model.

        Raises:
            DataError: If a package or file is missing or damaged, or it cannot say which characters a token is of.
        """
        place = path_of(path)
        file = place / FILE if (place / FILE).is_file() else place
        if not file.is_dir() and not (file.is_file() and file.suffix in (".json", ".gguf")):
            raise DataError(
                f"data.tokenizer={path}: needs a {FILE}, a .gguf file, or the folder of a model; nothing is downloaded"
            )
        made: Any = _of_file(file, path) if file.suffix == ".json" else _of_transformers(file, path)
        made.no_padding()
        made.no_truncation()
        self._made = made
        self.n_tokens = int(made.get_vocab_size())
        self.notes = tuple(_other_settings(place, made)) if place.is_dir() and file != place else ()

    def texts(self, texts: Sequence[str], max_length: int) -> Encoded:
        """Return texts as ids, with the special tokens that the tokenizer puts around them.

        Args:
            texts: The texts.
            max_length: The most tokens of a text, special ones included; what is longer loses its end.

        Raises:
            DataError: If a text has no token, or all together are too many.
        """
        try:
            self._made.enable_truncation(max_length)
            encoded = self._made.encode_batch(list(texts))
        except Exception as error:  # the package raises plain exceptions of its own
            raise DataError(f"data.max_length={max_length}: {message_of(error)}") from None
        finally:
            self._made.no_truncation()
        sizes = np.array([len(one.ids) for one in encoded])
        if not sizes.all():
            raise DataError(f"texts: {texts[int(sizes.argmin())]!r:.60} has no token")
        length = int(sizes.max())
        if length * len(texts) > MOST_TOKENS:
            raise DataError(
                f"texts: {len(texts)} of up to {length} tokens take too much memory; set data.max_length lower"
            )
        ids = np.full((len(texts), length), self._padding(), np.int64)
        mask = np.arange(length)[None] < sizes[:, None]
        for row, one in enumerate(encoded):
            ids[row, : sizes[row]] = one.ids
        return Encoded(ids, mask, np.array([bool(one.overflowing) for one in encoded]))

    def prompt(self, text: str) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
        """Return the tokens of a text that goes on, and the characters that each is of.

        Special ones stand before it as the tokenizer adds them; those that end a text (``</s>``, ``[SEP]``) are left
        out, as what is asked for follows the text.
        """
        found = self._made.encode(text)
        size = len(found.ids) - _ending(found)
        return tuple(found.ids[:size]), tuple(found.offsets[:size])

    @property
    def ends(self) -> tuple[str, ...]:
        """The special tokens that it puts at the end of every text."""
        found = self._made.encode(PROBE)
        return tuple(found.tokens[len(found.ids) - _ending(found) :])

    def is_other_after_blank(self, text: str) -> bool:
        """Return whether a word with a blank before it is a single token too, but a different one."""
        if not text[:1].isalnum():
            return False
        after = self._plain(f" {text}")
        return len(after) == 1 and after != self._plain(text)

    def token(self, text: str, where: str) -> int:
        """Return the one token that a text is.

        Raises:
            DataError: If it is several.
        """
        ids = self._plain(text)
        if len(ids) != 1:
            pieces = ", ".join(repr(self._made.decode([one])) for one in ids) or "none"
            other = f" {text}" if not text.startswith(" ") else text[1:]
            hint = f"; {other!r} is one" if len(self._plain(other)) == 1 else ""
            raise DataError(f"{where}: {text!r} must be a single token, it is {len(ids)} ({pieces}){hint}")
        return ids[0]

    def _plain(self, text: str) -> list[int]:
        return [int(one) for one in self._made.encode(text, add_special_tokens=False).ids]

    def _padding(self) -> int:
        """Return the id that pads; what is padded is never read, so any will do where the tokenizer has none."""
        known = (self._made.token_to_id(name) for name in ("[PAD]", "<pad>", "<|padding|>"))
        return next((one for one in known if one is not None), 0)


def _ending(encoded: Any) -> int:
    """Return how many special tokens a tokenizer has put at the end of a text."""
    added = encoded.special_tokens_mask[::-1]
    return next((index for index, one in enumerate(added) if one != 1), 0)


def _of_file(file: Path, named: str) -> Any:
    package: Any = _package("tokenizers")
    try:
        return package.Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except Exception as error:  # the package raises plain exceptions of its own
        raise DataError(f"data.tokenizer={named}: is no tokenizer ({message_of(error)})") from None


def _of_transformers(place: Path, named: str) -> Any:
    """Return the tokenizer of a GGUF file, or of a folder without ``tokenizer.json``."""
    gguf = place.suffix == ".gguf" and place.is_file()
    if gguf:
        _package("gguf")
    transformers: Any = _package("transformers")
    logging.getLogger("transformers").setLevel(logging.ERROR)  # its warnings do not apply here
    given = {"gguf_file": place.name} if gguf else {}
    try:
        made: Any = transformers.AutoTokenizer.from_pretrained(
            place.parent if gguf else place, local_files_only=True, trust_remote_code=False, **given
        )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise DataError(f"data.tokenizer={named}: cannot be read ({message_of(error)})") from error
    if not made.is_fast:
        raise DataError(f"data.tokenizer={named}: does not say which characters a token is of (no {FILE})")
    return made.backend_tokenizer


def _package(name: str) -> Any:
    """Return an optional package; some are slow to import.

    Raises:
        DataError: If it is missing.
    """
    if importlib.util.find_spec(name) is None:
        raise DataError(f"data.tokenizer: needs the package {name}; pip install 'paribus[text]'")
    return importlib.import_module(name)


def _other_settings(folder: Path, made: Any) -> Iterator[str]:
    """Yield where ``tokenizer_config.json`` says otherwise than what the tokenizer does."""
    try:
        said = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    if not isinstance(said, Mapping):
        return
    around = made.encode(PROBE).special_tokens_mask
    begins, ends = (bool(around) and around[at] == 1 for at in (0, -1))
    small = made.normalizer is not None and made.normalizer.normalize_str(PROBE) == PROBE.lower()
    does = {"add_bos_token": begins, "add_eos_token": ends, "do_lower_case": small}
    for name, done in does.items():
        wanted = said.get(name)
        if isinstance(wanted, bool) and wanted != done:
            yield (
                f"The tokenizer's tokenizer_config.json says {name}={str(wanted).lower()}, its {FILE} does otherwise; "
                f"{FILE} counts."
            )
