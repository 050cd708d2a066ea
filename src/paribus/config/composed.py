"""A composed configuration, and what it becomes with some of its values set: for each job of a sweep, so it is fast."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from paribus.config import _compatibility as hydra_parts

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

_REFERENCE = re.compile(r"\$\{(?:[\w.\[\]]+|(?:oc\.env|now|hydra):[^${}]*)\}")
"""A reference to another place of the configuration by its name, or to something outside it."""


@dataclass(frozen=True)
class _Part:
    """What the values that are set can reach.

    Attributes:
        reached: The nodes that they can reach, as a configuration (:func:`paribus.config._compatibility.frozen`).
        rest: All others, as plain data, which are the same whatever is set (pickled: each job has its own).
    """

    reached: bytes
    rest: bytes


class Composed:
    """A configuration composed from groups, without Hydra's own part.

    Setting a value copies and resolves only the nodes that it can reach: its own, and those that refer to others.
    """

    def __init__(self, config: DictConfig) -> None:
        """Take a configuration, which must not change any more."""
        self._config = config
        self._names = tuple(str(name) for name in config)
        self._whole = hydra_parts.frozen(config)
        self._parts: dict[frozenset[str], _Part | None] = {}

    def with_values(self, values: Sequence[Override], *, missing: bool = False) -> dict[str, Any]:
        """Return it with values set, resolved, as plain data.

        Args:
            values: The values, as Hydra reads them.
            missing: Whether a value that is still needed stays ``???`` rather than being an error.
        """
        part = None if missing else self._part(values)
        if part is None:
            return self._resolved(self._whole, values, missing=missing)
        found = self._resolved(part.reached, values) | pickle.loads(part.rest)
        return {name: found[name] for name in (*self._names, *(name for name in found if name not in self._names))}

    def _resolved(self, frozen: bytes, values: Sequence[Override], *, missing: bool = False) -> dict[str, Any]:
        config = hydra_parts.apply_values(frozen, values)
        found = OmegaConf.to_container(config, resolve=True, throw_on_missing=not missing)
        assert isinstance(found, dict)
        return {str(name): value for name, value in found.items()}

    def _part(self, values: Sequence[Override]) -> _Part | None:
        """Return what values can reach; None where only the whole configuration tells."""
        if any("${" in str(value.input_line) for value in values):
            return None
        touched = frozenset(str(value.key_or_group).partition(".")[0] for value in values)
        if touched not in self._parts:
            self._parts[touched] = self._taken_apart(touched)
        return self._parts[touched]

    def _taken_apart(self, touched: frozenset[str]) -> _Part | None:
        raw = OmegaConf.to_container(self._config, resolve=False)
        assert isinstance(raw, dict)
        texts = {name: list(_references(raw[name])) for name in self._names}
        every = " ".join(text for found in texts.values() for text in found)
        if "$" in _REFERENCE.sub("", every):
            return None
        kept = [
            name
            for name in self._names
            if name in touched or texts[name] or name in every or not OmegaConf.is_config(self._config._get_node(name))
        ]
        reached, rest = hydra_parts.copied(self._config), hydra_parts.copied(self._config)
        with open_dict(reached), open_dict(rest):
            for name in self._names:
                del (rest if name in kept else reached)[name]
        try:
            plain = OmegaConf.to_container(rest, resolve=True, throw_on_missing=True)
        except OmegaConfBaseException:
            return None
        return _Part(hydra_parts.frozen(reached), pickle.dumps(plain, pickle.HIGHEST_PROTOCOL))


def _references(node: Any) -> Iterator[str]:
    """Yield the texts in a node that refer to something."""
    if isinstance(node, dict):
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
    elif isinstance(node, str) and "$" in node:
        yield node
