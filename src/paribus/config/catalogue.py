"""The options of every group, read from the YAML files without composing anything."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paribus.config import installed
from paribus.config.locate import conf_dir, own_folders, target_object
from paribus.errors import ConfigError, nearest
from paribus.spec import OWN, Spec

_TARGET = re.compile(r"^_target_:\s*[\"']?([\w.]+)", re.MULTILINE)


@dataclass(frozen=True)
class Option:
    """One option of a group.

    Attributes:
        group: Its group.
        name: Its name.
        file: The YAML file.
        target: The class or function it configures, None for a bundle such as a study.
        comment: The text of the file's first comment lines.
        source: Where it comes from: ``paribus``, an installed distribution, or the user's folder.
    """

    group: str
    name: str
    file: Path
    target: str | None
    comment: str
    source: str = OWN

    def load(self) -> Any:
        """Import what it configures.

        Raises:
            ConfigError: If that does not exist, or the option configures nothing itself.
        """
        if self.target is None:
            raise ConfigError(f"{self.group}={self.name}: {self.file} names no _target_")
        return target_object(self.target, f"{self.group}={self.name}")


@dataclass(frozen=True)
class Variable:
    """One field of a spec.

    Attributes:
        name: Its name.
        type: Its type as written.
        default: Its default as written in YAML, None if it is required.
        help: Its description.
        limits: Its range or choices in words, empty if it has none.
        science: Whether it can change a result.
    """

    name: str
    type: str
    default: str | None
    help: str
    limits: str
    science: bool


def folders(config_dirs: Sequence[str | Path] = ()) -> list[Path]:
    """Return the folders of options: the shipped one, those of installed packages, then the user's.

    Raises:
        ConfigError: If one of the user's does not exist.
    """
    return [conf_dir(), *installed.folders(), *own_folders(config_dirs)]


def groups(config_dirs: Sequence[str | Path] = ()) -> list[str]:
    """Return the names of all groups.

    Example:
        >>> "experiment" in groups(), "data" in groups()
        (True, True)
    """
    found = {p.name for folder in folders(config_dirs) for p in folder.iterdir() if p.is_dir() and p.name != "hydra"}
    return sorted(found)


def options(group: str, config_dirs: Sequence[str | Path] = ()) -> list[Option]:
    """Return the options of a group by name; a shipped one goes before a user's of the same name.

    Raises:
        ConfigError: If there is no such group.

    Example:
        >>> "subspace_ablation" in [option.name for option in options("experiment")]
        True
    """
    if group not in groups(config_dirs):
        raise ConfigError(f"{group}: there is no such group; {nearest(group, groups(config_dirs), show=20)}")
    found: dict[str, Option] = {}
    for folder in folders(config_dirs):
        for file in sorted((folder / group).glob("*.yaml")):
            found.setdefault(file.stem, _option(group, file, _source(folder)))
    return [found[name] for name in sorted(found)]


def _source(folder: Path) -> str:
    return OWN if folder == conf_dir() else installed.folders().get(folder, str(folder))


def _option(group: str, file: Path, source: str) -> Option:
    text = file.read_text(encoding="utf-8")
    match = _TARGET.search(text)
    comments = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            comments.append(line.lstrip("# ").rstrip())
    return Option(group, file.stem, file, match.group(1) if match else None, " ".join(comments), source)


def variables(cls: type[Spec]) -> list[Variable]:
    """Return the fields of a spec class in order; a field that holds a spec by default, as the fields of that spec."""
    found: list[Variable] = []
    for declared in dataclasses.fields(cls):
        inner = declared.default
        if isinstance(inner, Spec):
            nested = variables(type(inner))
            found += [dataclasses.replace(each, name=f"{declared.name}.{each.name}") for each in nested]
        elif declared.init:
            found.append(_variable(declared))
    return found


def _variable(declared: Any) -> Variable:
    default: str | None = None
    if declared.default is not dataclasses.MISSING:
        default = written(declared.default)
    elif declared.default_factory is not dataclasses.MISSING:
        default = written(declared.default_factory())
    kind = declared.type if isinstance(declared.type, str) else getattr(declared.type, "__name__", str(declared.type))
    metadata = declared.metadata
    science = metadata.get("science", True)
    return Variable(declared.name, kind, default, metadata.get("help", ""), _limits(metadata), science)


def _limits(metadata: Any) -> str:
    if metadata.get("choices"):
        return " | ".join(metadata["choices"])
    words = (("low", ">="), ("above", ">"), ("high", "<="), ("below", "<"))
    return ", ".join(f"{sign} {metadata[key]:g}" for key, sign in words if metadata.get(key) is not None)


def written(value: Any) -> str:
    """Return a default as written in YAML or on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(element) for element in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(element)}" for key, element in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
