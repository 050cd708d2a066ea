"""The ``builds_tokenized`` option of the ``data`` group: a tab-separated file of token ids."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from paribus import seeds
from paribus.errors import ConfigError, DataError
from paribus.spec import field, path_of
from paribus.subjects.builds.contexts import BuildsData, Corpus, corpus_of
from paribus.subjects.builds.rows import Rows, chunks
from paribus.subjects.builds.states import Codes
from paribus.subjects.builds.tokens import encode_ids
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons

COLUMNS = ("ability_tags", "weapon_id")


@dataclass(frozen=True, kw_only=True)
class BuildsTokenized(BuildsData, kind="data/builds_tokenized"):
    """Builds as token ids: columns ``ability_tags`` (JSON list of ids) and ``weapon_id`` (index), tab-separated.

    Example:
        >>> BuildsTokenized(path="builds.csv").subject
        'builds'
    """

    path: str = field(file=True, help="The file (``tokenized_data.csv``), or the folder it lies in.")
    vocab: str | None = field(None, file=True, help="Token vocabulary; by default vocab.json beside the file.")
    weapon_vocab: str | None = field(
        None, file=True, help="Weapon vocabulary; by default weapon_vocab.json beside the file."
    )
    kits: str | None = field(None, file=True, help="CSV of kits that overrides the built-in table.")
    max_rows: int | None = field(None, low=1, help="Read at most so many rows.")

    def check(self) -> None:
        """Check that a path is given."""
        if not self.path:
            raise ConfigError("BuildsTokenized.path: give the tab-separated file or its folder")

    def file(self) -> Path:
        """Return the data file.

        Raises:
            DataError: If it is not there.
        """
        path = path_of(self.path)
        found = path / "tokenized_data.csv" if path.is_dir() else path
        if not found.is_file():
            raise DataError(f"builds_tokenized: no file {found}")
        return found

    def vocabulary(self) -> Vocabulary:
        """Return the vocabulary the ids belong to."""
        return Vocabulary.read(self.vocabulary_files()[0])

    def weapons(self) -> Weapons:
        """Return the weapons the indices belong to."""
        return Weapons.read(self.vocabulary_files()[1], self.kits)

    def vocabulary_files(self) -> tuple[Path, Path]:
        """Return the files of token and weapon vocabulary that the ids belong to."""
        beside = self.file().parent
        vocabulary, weapons = self.vocab or beside / "vocab.json", self.weapon_vocab or beside / "weapon_vocab.json"
        return path_of(vocabulary), path_of(weapons)

    def input_files(self) -> Mapping[str, Path]:
        """Return the table, both vocabularies, and the kits where they are given.

        Raises:
            DataError: If the table is not there.
        """
        vocabulary, weapons = self.vocabulary_files()
        found = {"rows": self.file(), "vocabulary": vocabulary, "weapon_vocabulary": weapons}
        return found if self.kits is None else {**found, "kits": path_of(self.kits)}

    def load(self, vocabulary: Vocabulary | None = None, weapons: Weapons | None = None) -> Corpus:
        """Read the corpus; the ids are those of its own vocabulary, which must be the model's.

        Raises:
            DataError: If the file is missing, empty, has more than 1 % bad rows, or belongs to another vocabulary.
        """
        own, own_weapons = self.vocabulary(), self.weapons()
        if vocabulary is not None and own.tokens != vocabulary.tokens:
            raise DataError(
                f"builds_tokenized: its vocabulary ({own.size} tokens) is not the model's ({vocabulary.size} tokens); "
                "ids would mean something else"
            )
        if weapons is not None and own_weapons.names != weapons.names:
            raise DataError(
                f"builds_tokenized: its weapon vocabulary ({own_weapons.size}) is not the model's ({weapons.size})"
            )
        rows = Rows(str(self.file()))
        parts = [_encode(some, own) for some in chunks(self._rows(rows, own, own_weapons))]
        bad = rows.finish()
        if not parts:
            raise DataError(f"builds_tokenized: {self.file()} holds no rows")
        return corpus_of(
            self,
            np.concatenate(parts),
            own,
            own_weapons,
            rng=seeds.rng(self.seed, "builds_tokenized"),
            n_rows=rows.n,
            bad_rows=bad,
        )

    def _rows(self, rows: Rows, vocabulary: Vocabulary, weapons: Weapons) -> Iterator[tuple[list[int], int]]:
        """Yield the ids and the weapon of each row, line by line, so that the file's text is never held whole."""
        with self.file().open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, delimiter="\t")
            missing = set(COLUMNS) - set(reader.fieldnames or ())
            if missing:
                raise DataError(
                    f"builds_tokenized: {self.file()} lacks the column(s) {', '.join(sorted(missing))}; "
                    f"its first line reads {reader.fieldnames!r} (it must be tab-separated)"
                )
            for record in islice(reader, self.max_rows):
                rows.n += 1
                try:
                    found = _parse(record, vocabulary.size, weapons.size)
                except ValueError as error:
                    rows.reject(f"line {reader.line_num}", str(error))
                else:
                    yield found


def _parse(record: dict[str, str | None], n_tokens: int, n_weapons: int) -> tuple[list[int], int]:
    try:
        tags = json.loads(record["ability_tags"] or "")
        index = int(record["weapon_id"] or "")
    except (ValueError, RecursionError):
        raise ValueError("ability_tags is no JSON list or weapon_id no whole number") from None
    if not isinstance(tags, list) or not all(type(tag) is int for tag in tags):
        raise ValueError("ability_tags is not a list of ids")
    if any(not 0 <= tag < n_tokens for tag in tags):
        raise ValueError(f"an id outside 0 to {n_tokens - 1}")
    if not 0 <= index < n_weapons:
        raise ValueError(f"weapon_id {index} outside 0 to {n_weapons - 1}")
    return tags, index


def _encode(rows: list[tuple[list[int], int]], vocabulary: Vocabulary) -> Codes:
    tags, weapons = zip(*rows, strict=True)
    offsets = np.cumsum([0, *map(len, tags)])
    return encode_ids(np.array(list(chain(*tags)), np.int64), offsets, np.array(weapons, np.int64), vocabulary)
