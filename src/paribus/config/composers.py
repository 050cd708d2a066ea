"""Composers that one process keeps, by their folders of options, for as long as nothing in those folders changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from paribus.config import installed
from paribus.config.compose import Composer
from paribus.config.locate import conf_dir

MOST = 8
_SEARCHED = re.compile(r"file://([^,\]'\"]+)")
Stamp = frozenset[tuple[str, int, int]]
_kept: dict[tuple[str, ...], tuple[Stamp, Composer]] = {}


def composer_of(config_dirs: Sequence[str], hydra_words: Sequence[str] = ()) -> Composer:
    """Return a composer for folders of options, the one of before where no option was changed, added or removed.

    A composer keeps what it has read. In a notebook an option may be edited between two runs of one process.

    Args:
        config_dirs: The user's folders.
        hydra_words: Words of the request about Hydra itself; ``hydra.searchpath`` may name further folders.

    Raises:
        ConfigError: If a folder is not there.

    Example:
        >>> composer_of([]) is composer_of([])
        True
    """
    searched = [found for word in hydra_words for found in _SEARCHED.findall(word)]
    key = (*(str(Path(folder).absolute()) for folder in config_dirs), "", *map(str, searched))
    folders = [conf_dir(), *installed.folders(), *map(Path, config_dirs), *map(Path, searched)]
    stamp = frozenset(each for folder in folders for each in _options(folder))
    if key not in _kept or _kept[key][0] != stamp:
        made = Composer(config_dirs)
        while len(_kept) >= MOST:
            del _kept[next(iter(_kept))]
        _kept[key] = (stamp, made)
    return _kept[key][1]


def _options(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield the files of a folder of options, with the moment of the last change and the size of each."""
    for file in folder.rglob("*.yaml"):
        found = file.stat()
        yield str(file), found.st_mtime_ns, found.st_size
