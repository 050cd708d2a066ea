"""Saves the words of a request as an option of the group ``study``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from paribus.config.compose import Composer
from paribus.errors import ConfigError

GROUP = "study"


def as_option(composer: Composer, words: Sequence[str], *, title: str) -> str:
    """Return the text of an option equivalent to ``words``.

    Args:
        composer: Knows which words choose options and which set values.
        words: A request of one job.
        title: Its first line.

    Raises:
        ConfigError: If a word cannot be read, or the words name a study or Hydra's own settings.
    """
    groups, values, about_hydra = composer.split(words)
    if about_hydra:
        raise ConfigError(f"{about_hydra[0]}: Hydra's own settings cannot be part of an option")
    study = next((one for one in groups if one.key_or_group == GROUP), None)
    if study is not None:
        raise ConfigError(f"{study.input_line}: an option of the group study cannot name another one")
    defaults: list[Any] = ["_self_"]
    for one in groups:
        place = f"@{one.package}" if one.package else ""
        defaults.append({f"override /{one.key_or_group}{place}": one.value()})
    tree: dict[str, Any] = {}
    for one in values:
        _set(tree, str(one.key_or_group).split("."), one.value())
    body = yaml.safe_dump({"defaults": defaults, **tree}, sort_keys=False, allow_unicode=True, width=120)
    return f"# @package _global_\n# {title}\n{body}"


def save(text: str, name: str, folder: Path) -> Path:
    """Write an option of the group ``study`` into a configuration folder; return its file.

    Args:
        text: What :func:`as_option` returned.
        name: The option's name: letters, digits, ``_`` and ``-``.
        folder: The configuration folder; created if missing.

    Raises:
        ConfigError: If the name is invalid, the file exists with another content, or cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name):
        raise ConfigError(f"--save {name}: a name has letters, digits, _ and - only")
    path = folder / GROUP / f"{name}.yaml"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise ConfigError(f"--save {name}: {path} is there already and says something else; choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}.part")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"--save {name}: {path} cannot be written ({error.strerror or error})") from None
    return path


def _set(tree: dict[str, Any], keys: list[str], value: Any) -> None:
    """Set a value in a nested mapping, as one word after the other would."""
    for key in keys[:-1]:
        inner = tree.get(key)
        if not isinstance(inner, dict):
            inner = tree[key] = {}
        tree = inner
    tree[keys[-1]] = value
