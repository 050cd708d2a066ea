"""From a spec of the older format to the words of a command line that asks for the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paribus.cli.legacy.document import LegacySpec, shown
from paribus.cli.legacy.rungs import Rungs
from paribus.cli.legacy.variables import Variables, mapped
from paribus.config.check import build_settings
from paribus.errors import ConfigError, nearest
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.families import DEFAULT_RUNGS
from paribus.subjects.builds.slices import SliceSpec

REAL = ("full", "ultra")
"""Model types of the older format: real checkpoints from a folder."""
MODELS = ("planted", "set_completion", "set_completion_small", "splatgpt", "tracked")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_TYPED = ("null", "true", "false", "inf", "nan")


@dataclass(frozen=True)
class Request:
    """A spec as a request.

    Attributes:
        words: The words after ``paribus``.
        notes: What the reader should know about the mapping.
    """

    words: tuple[str, ...]
    notes: tuple[str, ...]


def request(spec: LegacySpec, *, extra: Sequence[str] = (), rungs: Sequence[int] = DEFAULT_RUNGS) -> Request:
    """Return the request that equals a spec; everything in it is checked but the names only the data know.

    Args:
        spec: The spec.
        extra: Further overrides, which go before the spec's own values.
        rungs: The rungs that exist.

    Raises:
        ConfigError: If a name, type or value in it is wrong.
    """
    known = Rungs(rungs, map_to_nearest=spec.nearest_rungs)
    notes: list[str] = []
    variables = mapped(spec.type, spec.variables, known, notes)
    words = [f"experiment={spec.type}"]
    if variables.target is not None:
        words.append(f"experiment@experiment.target={variables.target}")
    words += [*model_words(spec, extra), "feature=latent", f"feature.id={spec.feature_id}"]
    words += _assigned("experiment.target", variables.target_values)
    words += _assigned("experiment", variables.values)
    words += _assigned("slice", _slice(spec, variables))
    words += _assigned("constraints", _constraints(spec))
    words += [f"+tracking.tags.{name}={written(text)}" for name, text in {"spec": spec.id, **spec.tags}.items()]
    return Request((*words, *extra), (*known.notes, *notes))


def model_words(spec: LegacySpec, extra: Sequence[str] = ()) -> list[str]:
    """Return the words that choose the model, and the data where it brings its own.

    Raises:
        ConfigError: If there is no such model, or a real one has no folder.
    """
    name = spec.model_type
    if name not in (*REAL, *MODELS):
        raise ConfigError(f"model_type: no such model {shown(name)}; {nearest(name[:200], [*REAL, *MODELS])}")
    if any(word.startswith("model=") for word in extra):
        return []
    if name in MODELS:
        return [f"model={name}"]
    if not any(word.startswith("model.path=") for word in extra):
        raise ConfigError(f"model_type={name}: the checkpoints are read from a folder; add model.path=FOLDER")
    words = ["model=splatgpt", f"model.variant={name}"]
    if not any(word.startswith(("data=", "data.")) for word in extra):
        words += ["data=builds_tokenized", "data.path=${model.path}"]
    return words


def _slice(spec: LegacySpec, variables: Variables) -> dict[str, Any]:
    """Percentiles that leave nothing out are not set, so that nobody is warned of them."""
    given = {name: value for name, value in spec.dataset_slice.items() if value is not None}
    if given.get("percentile_min") == 0 and not isinstance(given["percentile_min"], bool):
        del given["percentile_min"]
    if given.get("percentile_max") == 100:
        del given["percentile_max"]
    for name in ("weapon_filter", "weapon_exclude", "family_filter"):
        if isinstance(given.get(name), str | int) and not isinstance(given[name], bool):
            given[name] = [given[name]]
    if variables.base_weapon is not None:
        if given.get("weapon_filter"):
            raise ConfigError("variables.base_weapon: cannot be joined with dataset_slice.weapon_filter")
        given["weapon_filter"] = [variables.base_weapon]
    build_settings(SliceSpec, given, "dataset_slice")
    for name in ("weapon_filter", "weapon_exclude"):
        if name in given:
            given[name] = [str(each) for each in given[name]]
    return given


def _constraints(spec: LegacySpec) -> dict[str, Any]:
    given = {name: level for name, level in spec.constraints.items() if level is not None}
    build_settings(ConstraintsSpec, given, "constraints")
    return given


def _assigned(group: str, values: Mapping[str, Any]) -> list[str]:
    return [f"{group}.{name}={written(value)}" for name, value in values.items()]


def written(value: Any) -> str:
    """Return a plain value in the grammar of overrides; texts come back exactly as they are."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    if not isinstance(value, str):
        raise ConfigError(f"{shown(value)}: cannot be written on a command line")
    if _PLAIN.fullmatch(value) and value.lower() not in _TYPED:
        return value
    text = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", value)
    text = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), text)
    return f"'{text}'"
