"""The ``builds_statink`` option of the ``data`` group: stat.ink's battle exports, read as a stream."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from paribus import seeds
from paribus.errors import ConfigError, DataError
from paribus.spec import field, path_of
from paribus.subjects.builds.contexts import BuildsData, Corpus, corpus_of
from paribus.subjects.builds.families import BY_NAME
from paribus.subjects.builds.rows import Rows, chunks
from paribus.subjects.builds.states import Codes
from paribus.subjects.builds.tokens import encode_build
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons, read_kits

PLAYERS = tuple(f"{team}{i}" for team in "AB" for i in range(1, 5))
UPLOADER = "A1"
FIRST_COLUMN = "# season"
MAX_FAMILY_AP = 66.0


@dataclass(frozen=True, kw_only=True)
class BuildsStatink(BuildsData, kind="data/builds_statink"):
    """Builds from stat.ink battle CSV files: one day's file, a folder of them, or a zip of them.

    Example:
        >>> BuildsStatink(path="statink").subject
        'builds'
    """

    path: str = field(file=True, help="A .csv file, a .zip of such files, or a folder of both.")
    players: str = field("all", choices=("all", "uploader"), help="All eight players of a battle, or its uploader.")
    vocab: str | None = field(None, file=True, help="Token vocabulary; by default the model's, else the built-in one.")
    weapon_vocab: str | None = field(
        None, file=True, help="Weapon vocabulary; by default the model's, else the built-in one."
    )
    kits: str | None = field(None, file=True, help="CSV of kits that overrides the built-in table.")
    max_builds: int | None = field(None, low=1, help="Read at most so many builds.")

    def check(self) -> None:
        """Check that a path is given."""
        if not self.path:
            raise ConfigError("BuildsStatink.path: give a .csv file, a .zip, or a folder of them")

    def files(self) -> tuple[Path, ...]:
        """Return the files to read, in order of their names.

        Raises:
            DataError: If there are none.
        """
        path = path_of(self.path)
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in (".csv", ".zip"))
        else:
            found = [path] if path.is_file() else []
        if not found:
            raise DataError(f"builds_statink: no .csv or .zip file at {path}")
        return tuple(found)

    def vocabulary(self) -> Vocabulary:
        """Return the vocabulary of the corpus where the model brings none."""
        return Vocabulary.read(self.vocab) if self.vocab else Vocabulary.default()

    def weapons(self) -> Weapons:
        """Return the weapon vocabulary where the model brings none."""
        if self.weapon_vocab:
            return Weapons.read(self.weapon_vocab, self.kits)
        kits = tuple(read_kits(self.kits).values()) if self.kits else ()
        return Weapons(Weapons.default().names, kits)

    def input_files(self) -> Mapping[str, Path]:
        """Return the exports in the order they are read, and the vocabularies and kits that are given.

        Raises:
            DataError: If there are no exports.
        """
        given = {name: path for name, path in super().input_files().items() if name != "path"}
        return given | {f"export {number}": file for number, file in enumerate(self.files())}

    def load(self, vocabulary: Vocabulary | None = None, weapons: Weapons | None = None) -> Corpus:
        """Read the corpus, row by row.

        Raises:
            DataError: If a file is missing or no such export, more than 1 % of the rows are bad, or nothing is left.
        """
        vocabulary = vocabulary or self.vocabulary()
        weapons = weapons or self.weapons()
        rows = Rows(f"builds_statink {self.path}")
        unknown: Counter[str] = Counter()
        builds = islice(self._builds(rows, unknown, vocabulary, weapons), self.max_builds)
        parts = [np.stack(some) for some in chunks(builds)]
        bad = rows.finish()
        if not parts:
            raise DataError(f"builds_statink: {self.path} holds no build with known abilities ({rows.n} rows)")
        corpus = corpus_of(
            self,
            np.concatenate(parts),
            vocabulary,
            weapons,
            rng=seeds.rng(self.seed, "builds_statink"),
            n_rows=rows.n,
            bad_rows=bad,
        )
        if not unknown:
            return corpus
        names = ", ".join(f"{key} ({count})" for key, count in unknown.most_common(10))
        warning = (
            f"builds_statink: {sum(unknown.values())} builds with weapons outside the vocabulary left out: {names}"
        )
        return replace(corpus, warnings=(*corpus.warnings, warning))

    def _builds(self, rows: Rows, unknown: Counter[str], vocabulary: Vocabulary, weapons: Weapons) -> Iterator[Codes]:
        wanted = PLAYERS if self.players == "all" else (UPLOADER,)
        for name, stream in _streams(self.files()):
            for line, record in _records(name, stream, rows):
                try:
                    read = [_player(record, player) for player in wanted]
                except ValueError as error:
                    rows.reject(f"{name} line {line}", str(error))
                    continue
                for entry in read:
                    if entry is None:
                        continue
                    index = weapons.find(entry[0])
                    if index is None:
                        unknown[entry[0]] += 1
                        continue
                    yield encode_build(entry[1], vocabulary, index)


def _streams(files: tuple[Path, ...]) -> Iterator[tuple[str, io.TextIOBase]]:
    """Open every CSV, also those inside of zip files, one after the other."""
    for file in files:
        if file.suffix.lower() != ".zip":
            with file.open(encoding="utf-8-sig", newline="") as stream:
                yield file.name, stream
            continue
        try:
            with zipfile.ZipFile(file) as archive:
                for name in sorted(n for n in archive.namelist() if n.lower().endswith(".csv")):
                    with archive.open(name) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
                        yield f"{file.name}/{name}", text
        except zipfile.BadZipFile:
            raise DataError(f"builds_statink: {file} is no readable zip file") from None


def _records(name: str, stream: io.TextIOBase, rows: Rows) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and row of one export; comment lines after the header are skipped."""
    reader = csv.reader(stream)
    try:
        header = next(reader, [])
        if not header or header[0].strip() != FIRST_COLUMN:
            raise DataError(f"builds_statink: {name} is no battle export; its first column must be '{FIRST_COLUMN}'")
        lacking = [f"{p}-{what}" for p in PLAYERS for what in ("weapon", "abilities") if f"{p}-{what}" not in header]
        if lacking:
            raise DataError(f"builds_statink: {name} lacks the column(s) {', '.join(lacking[:4])}")
        for cells in reader:
            if not cells or cells[0].startswith("#"):
                continue
            rows.n += 1
            if len(cells) != len(header):
                rows.reject(f"{name} line {reader.line_num}", f"{len(cells)} cells, the header has {len(header)}")
                continue
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"builds_statink: {name} line {reader.line_num}: {error}") from None


def _player(record: dict[str, str], player: str) -> tuple[str, dict[str, float | bool]] | None:
    """Return weapon key and AP by family of one player; None where nothing is known.

    Raises:
        ValueError: If the abilities cannot be read.
    """
    weapon, text = record[f"{player}-weapon"].strip(), record[f"{player}-abilities"].strip()
    if not text or not weapon:
        return None
    try:
        abilities = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{player}-abilities is no JSON") from None
    if not isinstance(abilities, dict):
        raise ValueError(f"{player}-abilities is no JSON object")
    points: dict[str, float | bool] = {}
    for name, value in abilities.items():
        family = BY_NAME.get(name)
        if family is None:
            raise ValueError(f"{player}-abilities: unknown ability {name!r}")
        if family.main_only:
            points[name] = bool(value)
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= 10 * value <= MAX_FAMILY_AP:
            raise ValueError(f"{player}-abilities: {name} is {value!r}, expected AP / 10")
        points[name] = round(10 * value, 3)
    return (weapon, points) if points else None
