"""From a spec of the older format to the words of a command line that asks for the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paribus.config.check import build_settings
from paribus.config.restate import value_text
from paribus.errors import ConfigError, nearest
from paribus.experiments.builds.older import overrides
from paribus.experiments.builds.older.document import LegacySpec, shown
from paribus.experiments.builds.older.rungs import Rungs
from paribus.experiments.builds.older.variables import Variables, mapped
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.families import DEFAULT_RUNGS
from paribus.subjects.builds.slices import SliceSpec
from paribus.subjects.builds.weapons import Weapons

REAL = ("full", "ultra")
"""Model types of the older format: real checkpoints from a folder."""
MODELS = ("planted", "set_completion", "set_completion_small", "splatgpt", "tracked")
FROM_FOLDER = "splatgpt"
"""The option behind real checkpoints; their data lie in the same folder."""
TRAINED_ELSEWHERE = "tracked"
TELLING = ("model", "data", "model.path", "data.path", "data.rungs", "data.vocab", "data.weapon_vocab", "data.kits")
"""What can change the vocabulary."""
WEAPON_LISTS = ("weapon_filter", "weapon_exclude")


@dataclass(frozen=True)
class Request:
    """A spec as a request.

    Attributes:
        words: The words after ``paribus``.
        notes: What the reader should know about the mapping.
    """

    words: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """Names that a vocabulary knows.

    Attributes:
        rungs: Its rungs in AP.
        weapons: Its weapons, by index; None where only the run itself knows them.
    """

    rungs: Sequence[int] = DEFAULT_RUNGS
    weapons: Weapons | None = dataclasses.field(default_factory=Weapons.default)


def request(spec: LegacySpec, *, extra: Sequence[str] = (), known: Known | None = None) -> Request:
    """Return the request that equals a spec; everything in it is checked but the names only the data know.

    Args:
        spec: The spec.
        extra: Further overrides, which go before the spec's own values.
        known: The rungs and weapons that there are; by default those of the reference vocabulary.

    Raises:
        ConfigError: If a name, type or value in it is wrong.
    """
    overrides.refuse_those_of_the_spec(extra)
    known = known or Known()
    rungs = Rungs(known.rungs, map_to_nearest=spec.nearest_rungs)
    notes: list[str] = []
    variables = mapped(spec.type, spec.variables, rungs, notes)
    words = [f"experiment={spec.type}"]
    if variables.target is not None:
        words.append(f"experiment@experiment.target={variables.target}")
    words += [*model_words(spec, extra, notes), "feature=latent", f"feature.id={spec.feature_id}"]
    words += _assigned("experiment.target", variables.target_values)
    words += _assigned("experiment", variables.values)
    words += _assigned("slice", _slice(spec, variables, known.weapons, notes))
    words += _assigned("constraints", _constraints(spec))
    words += [f"+tracking.tags.{name}={written(text)}" for name, text in {"spec": spec.id, **spec.tags}.items()]
    return Request((*words, *extra), (*rungs.notes, *notes))


def model_words(spec: LegacySpec, extra: Sequence[str] = (), notes: list[str] | None = None) -> list[str]:
    """Return the words that choose the model, and the data where it brings its own.

    Only a word that names a group itself (``model=``, ``data=``) takes its choice from the spec; a value in it
    (``data.max_rows=1000``) leaves the choice as it is.

    Args:
        spec: The spec.
        extra: Further overrides on the line.
        notes: Gets a sentence where the line names another model than the spec.

    Raises:
        ConfigError: If there is no such model, or a real one has no folder.
    """
    name = spec.model_type
    if name not in (*REAL, *MODELS):
        raise ConfigError(f"model_type: no such model {shown(name)}; {nearest(name[:200], [*REAL, *MODELS])}")
    own = FROM_FOLDER if name in REAL else name
    named = overrides.option(extra, "model")
    chosen = named or own
    if chosen != own and notes is not None:
        notes.append(f"model_type: {shown(name)} is not used, the line says model={chosen}")
    words = [] if named is not None else [f"model={own}"]
    if chosen != FROM_FOLDER:
        return words
    if not overrides.sets(extra, "model.path"):
        raise ConfigError(f"model_type={name}: the checkpoints are read from a folder; add model.path=FOLDER")
    if name in REAL:
        words.append(f"model.variant={name}")
    if overrides.option(extra, "data") is None:
        words += ["data=builds_tokenized", "data.path=${model.path}"]
    return words


def _slice(spec: LegacySpec, variables: Variables, weapons: Weapons | None, notes: list[str]) -> dict[str, Any]:
    """Percentiles that leave nothing out are not set, so that nobody is warned of them."""
    given = {name: value for name, value in spec.dataset_slice.items() if value is not None}
    if given.get("percentile_min") == 0 and not isinstance(given["percentile_min"], bool):
        del given["percentile_min"]
    if given.get("percentile_max") == 100:
        del given["percentile_max"]
    for name in (*WEAPON_LISTS, "family_filter"):
        if isinstance(given.get(name), str | int) and not isinstance(given[name], bool):
            given[name] = [given[name]]
    if variables.base_weapon is not None:
        if given.get("weapon_filter"):
            raise ConfigError("variables.base_weapon: cannot be joined with dataset_slice.weapon_filter")
        given["weapon_filter"] = [_weapon("variables.base_weapon", variables.base_weapon, weapons, notes)]
    build_settings(SliceSpec, given, "dataset_slice")
    for name in WEAPON_LISTS:
        if name in given:
            given[name] = [_weapon(f"dataset_slice.{name}", each, weapons, notes) for each in given[name]]
    return given


def _weapon(where: str, value: int | str, weapons: Weapons | None, notes: list[str]) -> str:
    """Return the token of a weapon: in specs a number is its index in the vocabulary, a text a name or game id."""
    if isinstance(value, str):
        return value
    if weapons is None:
        raise ConfigError(
            f"{where}: {value} is an index of the weapon vocabulary, which only the trained run knows; write the "
            f'weapon\'s name, or its game id as text ("{value}")'
        )
    if not 0 <= value < weapons.size:
        raise ConfigError(
            f"{where}: {value} is no index of the weapon vocabulary, which has 0 to {weapons.size - 1}; a game id is "
            f'written as text ("{value}")'
        )
    token = weapons.names[value]
    notes.append(f"{where}: {value} is index {value} of the weapon vocabulary, {weapons.labels()[value]} ({token})")
    return token


def _constraints(spec: LegacySpec) -> dict[str, Any]:
    given = {name: level for name, level in spec.constraints.items() if level is not None}
    build_settings(ConstraintsSpec, given, "constraints")
    return given


def _assigned(group: str, values: Mapping[str, Any]) -> list[str]:
    return [f"{group}.{name}={written(value)}" for name, value in values.items()]


def written(value: Any) -> str:
    """Return a plain value in the grammar of overrides.

    Raises:
        ConfigError: If it is no number, text or list.
    """
    if value is not None and not isinstance(value, bool | int | float | str | list):
        raise ConfigError(f"{shown(value)}: cannot be written on a command line")
    return value_text(value)
