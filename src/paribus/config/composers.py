"""Composers cached by a process, by their folders of options, while nothing in those folders changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from paribus.config import _compatibility as hydra_parts
from paribus.config import installed
from paribus.config.compose import Composer
from paribus.config.locate import conf_dir

MOST = 8
_SEARCHED = re.compile(r"file://([^,\]'\"]+)")
_kept: dict[tuple[str, ...], tuple[hydra_parts.Stamp, Composer]] = {}


def composer_of(config_dirs: Sequence[str], hydra_words: Sequence[str] = ()) -> Composer:
    """Return a composer for folders of options: the cached one if no option was changed, added or removed.

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
    stamp = frozenset(each for folder in folders for each in hydra_parts.stamp(folder))
    if key not in _kept or _kept[key][0] != stamp:
        made = Composer(config_dirs)
        while len(_kept) >= MOST:
            del _kept[next(iter(_kept))]
        _kept[key] = (stamp, made)
    return _kept[key][1]
