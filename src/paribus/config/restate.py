"""Finds the words that compose a given configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from paribus.config.check import TARGET
from paribus.errors import ConfigError

if TYPE_CHECKING:
    from paribus.config.compose import Composer

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_READ_OTHERWISE = ("null", "true", "false")


def restated(
    composer: Composer, choices: Mapping[str, str | None], wanted: Mapping[str, Any], fixed: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the fewest words that compose a configuration which agrees with ``wanted``.

    Args:
        composer: Composes.
        choices: The option of each group that ``wanted`` was made from, the experiment's first.
        wanted: The settings and the nodes of those groups, plain and resolved.
        fixed: Words to start from, e.g. those that name a trained model.

    Raises:
        ConfigError: If there are no such words.
    """
    words = [f"{group}={option}" for group, option in choices.items() if group.startswith("experiment")] + list(fixed)
    given = composer.choices(words)
    for group, option in choices.items():
        if not group.startswith("experiment") and given.get(group) != option:
            words.append(f"{group}={option or 'null'}")
    before = composer.plain(words)
    words += [
        f"{name}={value_text(value)}"
        for name, value in wanted.items()
        if not isinstance(value, Mapping) and before.get(name) != value
    ]
    base = composer.plain(words)
    for name, node in wanted.items():
        if isinstance(node, Mapping):
            words += differences(base.get(name), node, name)
    made = composer.job(words).tree
    for name, value in wanted.items():
        if made.get(name) != value:
            raise ConfigError(f"{name}: no words give this configuration again")
    return tuple(words)


def differences(base: Any, wanted: Any, place: str) -> Iterator[str]:
    """Yield the words that turn one node into another."""
    if isinstance(base, Mapping) and isinstance(wanted, Mapping) and base.get(TARGET) == wanted.get(TARGET):
        for key, value in wanted.items():
            if key not in base:
                yield f"+{place}.{key}={value_text(value)}"
            else:
                yield from differences(base[key], value, f"{place}.{key}")
    elif base != wanted or type(base) is not type(wanted):
        yield f"{place}={value_text(wanted)}"


def value_text(value: Any) -> str:
    """Return a plain value in Hydra's grammar; texts are restored exactly when parsed.

    Example:
        >>> value_text({"a": [1, None, "two words", "name"]})
        "{a:[1,null,'two words',name]}"
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{value_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(value_text(item) for item in value) + "]"
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _READ_OTHERWISE and not _is_number(text):
        return text
    text = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", text)
    ends = re.sub(r"\\+$", lambda found: found[0] * 2, text)
    return "'" + re.sub(r"(\\*)'", lambda found: found[1] * 2 + r"\'", ends) + "'"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
