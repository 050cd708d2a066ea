"""Errors of Hydra, OmegaConf and YAML as one clear line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol

import yaml
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigKeyError, InterpolationResolutionError, MissingMandatoryValue

from paribus.config.job import GROUPS
from paribus.config.settings import Settings
from paribus.errors import ConfigError, nearest

if TYPE_CHECKING:
    from omegaconf import DictConfig


class Choices(Protocol):
    """Knows what can be chosen."""

    def groups(self) -> Sequence[str]:
        """Return the names of all groups."""

    def options(self, group: str) -> Sequence[str]:
        """Return the options of a group."""


@contextmanager
def refused(composer: Choices, overrides: Sequence[str], config: DictConfig | None = None) -> Iterator[None]:
    """Convert errors of the configuration libraries within the block to a :class:`ConfigError`.

    Args:
        composer: Knows the groups and their options.
        overrides: The words being parsed.
        config: The configuration they are applied to, if already composed.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # the block contains only library calls on the user's input
        raise ConfigError(_line(error, composer, overrides, config)) from error


def _line(error: Exception, composer: Choices, overrides: Sequence[str], config: DictConfig | None) -> str:
    """Return what is wrong, where, and what would be valid."""
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, yaml.YAMLError):
            return _yaml(cause)
        if isinstance(cause, OverrideParseException):
            return f"{cause.override}: cannot be read: {_first(cause)}"
        if isinstance(cause, MissingConfigException) and cause.missing_cfg_file is not None:
            return _missing_option(cause, composer)
        if isinstance(cause, InterpolationResolutionError):
            return f"{cause.full_key or ' '.join(overrides)}: {_first(cause)}"
        if isinstance(cause, MissingMandatoryValue):
            key = cause.full_key or "experiment"
            return f"{key}: a value is needed ({key}=...)"
        if isinstance(cause, ConfigKeyError | AttributeError) and getattr(cause, "full_key", None):
            return _unknown_key(cause, composer, config)
    return _composition(error, composer, overrides)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _yaml(error: Any) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"{mark.name}, line {mark.line + 1}" if mark is not None else "a configuration file"
    return f"{place}: is no valid YAML: {getattr(error, 'problem', None) or _first(error)}"


def _missing_option(error: Any, composer: Choices) -> str:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    message = str(error)
    place = ""
    if message.startswith("In '"):
        within = message[4:].split("'", 1)[0]
        place = "" if within == "config" else f" (asked for in {within})"
    valid = error.options if error.options else composer.options(group) if group else ()
    if not group:
        return f"{option}: there is no such configuration file"
    return f"{group}={option}: no such option{place}; {nearest(option, valid)}"


def _unknown_key(error: Any, composer: Choices, config: DictConfig | None) -> str:
    full = str(error.full_key)
    parent: Any = getattr(error, "parent_node", None)
    top = parent is None or not getattr(parent, "_get_full_key", lambda _: "")(None)
    names: list[str] = []
    group = full.split(".")[0]
    if config is not None and group in GROUPS and group not in config:
        valid = nearest("", composer.options(group), show=20)
        return f"{full}: no {group} is chosen here; choose one first ({group}=NAME); {valid}"
    if top:
        names = [*(setting.name for setting in fields(Settings)), *GROUPS, "study"]
    elif hasattr(parent, "keys"):
        names = [str(name) for name in parent if name != "_target_"]
    if parent is not None and not hasattr(parent, "keys"):
        return f"{full}: {_first(error)}"
    if group == "steps":
        return f"{full}: unknown key; the steps of a study are set as experiment.{full}"
    if not names:
        return f"{full}: is not there; an entry is added with a plus (+{full}=...)"
    return f"{full}: unknown key; {nearest(full.rsplit('.', 1)[-1], names, show=20)}"


def _composition(error: Exception, composer: Choices, overrides: Sequence[str]) -> str:
    message = _first(error)
    words = " ".join(overrides)
    if message.startswith("Could not override '") and "=" not in message:
        key = message.split("'")[1]
        group = key.split("@")[0]
        groups = composer.groups()
        if group not in groups:
            return f"{key}: there is no such group; {nearest(group, groups)}"
        return f"{key}: is not part of this configuration; add it with +{key}=NAME"
    if message.startswith("You must specify '"):
        group = message.split("'")[1]
        extra = " or study=NAME" if group == "experiment" else ""
        return f"{group}: nothing is chosen; say {group}=NAME{extra}; {nearest('', composer.options(group))}"
    if message.startswith("Override ") and "looks like a config group" in message:
        key = message.split()[1].split("=")[0].lstrip("+")
        return f"{key}: there is no such group; {nearest(key.split('@')[0], composer.groups())}"
    if message.startswith("Multiple values for "):
        group = message.removeprefix("Multiple values for ").split(".")[0]
        chosen = [word for word in overrides if word.lstrip("+").split("=")[0].split("@")[0] == group]
        if len(chosen) > 1:
            return f"{' '.join(chosen)}: {group} is chosen twice; leave one of the two out"
        return f"{' '.join(chosen) or words}: {group} is there already; leave out the +"
    if message.endswith("appears more than once in the final defaults list"):
        group = message.split()[0]
        return f"{words}: {group} is chosen twice; leave one of the two out"
    if message.startswith("Could not append to config."):
        key = message.split("'")[1]
        return f"+{key}: is there already; leave out the +"
    if message.startswith("Error merging override"):
        details = [_first(cause) for cause in list(_causes(error))[1:]]
        return f"{message.removeprefix('Error merging override ').strip()}: {details[0] if details else 'does not fit'}"
    if words and words not in message:
        return f"{words}: {message}"
    return message
