"""From the variables of the older format to those of an experiment, checked as a configuration is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paribus.config import catalogue
from paribus.config.check import build_settings
from paribus.errors import ConfigError, nearest
from paribus.experiments.builds.older.document import MAX_NAME, TYPES, shown
from paribus.experiments.builds.older.rules import JOINED, RULES, Mapped
from paribus.experiments.builds.older.rungs import Rungs
from paribus.spec import Spec

VALIDATIONS = ("split_half", "shuffle_null")
DEFAULT_TARGET = "token_influence_sweep"
"""What the older format validated: the ranking of tokens."""
_classes: dict[str, type[Spec]] = {}


@dataclasses.dataclass(frozen=True)
class Variables:
    """Variables of an experiment.

    Attributes:
        values: By name; those left out keep their defaults.
        target: Type of the validated experiment, None for other types.
        target_values: Its variables.
        base_weapon: A weapon that contexts are narrowed to.
    """

    values: Mapping[str, Any]
    target: str | None = None
    target_values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    base_weapon: int | str | None = None


def mapped(kind: str, given: Mapping[str, Any], rungs: Rungs, notes: list[str]) -> Variables:
    """Return the variables of an experiment of type ``kind``.

    Raises:
        ConfigError: If one is unknown, has a wrong value, or is not supported any more.
    """
    given = dict(given)
    if kind in VALIDATIONS:
        return _validation(kind, given, rungs, notes)
    weapon = _base_weapon(given.pop("base_weapon", None)) if kind == "family_2d_heatmap" else None
    values = _values(kind, given, rungs, notes)
    build_settings(spec_class(kind), values, "variables")
    return Variables(values, base_weapon=weapon)


def _validation(kind: str, given: dict[str, Any], rungs: Rungs, notes: list[str]) -> Variables:
    """Variables that the validation does not know itself belong to its target."""
    target: Any = given.pop("target", None)
    if target is None:
        target = given.pop("target_type", None)
    inner: Any = given.pop("target_variables", None) or {}
    if isinstance(target, dict):
        odd = [name for name in target if name not in ("type", "variables")]
        if odd:
            raise ConfigError(f"variables.target.{odd[0][:MAX_NAME]}: unknown; it takes type and variables")
        target, inner = target.get("type"), target.get("variables") or {}
    if target is None:
        target = DEFAULT_TARGET
        notes.append(f"variables.target: none is named, {target} is validated")
    if not isinstance(target, str) or target not in TYPES:
        raise ConfigError(f"variables.target: no such type {shown(target)}; {nearest(str(target)[:MAX_NAME], TYPES)}")
    if not isinstance(inner, dict):
        raise ConfigError(f"variables.target: its variables must be an object, got {shown(inner)}")
    own = {f.name for f in dataclasses.fields(spec_class(kind))} | set(RULES[kind])
    inner = {**{name: value for name, value in given.items() if name not in own}, **inner}
    values = _values(kind, {name: value for name, value in given.items() if name in own}, rungs, notes)
    target_values = _values(target, inner, rungs, notes)
    made = build_settings(spec_class(target), target_values, "variables.target")
    build_settings(spec_class(kind), {**values, "target": made}, "variables")
    return Variables(values, target, target_values)


def _values(kind: str, given: Mapping[str, Any], rungs: Rungs, notes: list[str]) -> dict[str, Any]:
    given = dict(given)
    fields = {f.name: f for f in dataclasses.fields(spec_class(kind)) if f.init and f.name != "target"}
    rules, joined = RULES[kind], JOINED.get(kind, {})
    family_mode = given.pop("family_mode", None) if kind.endswith("_interactions") else None
    values: dict[str, Any] = {}
    together = [name for names in joined for name in names]
    known = [*fields, *rules, *together]
    made: list[tuple[str, Mapped]] = []
    for names, rule in joined.items():
        if here := {name: given[name] for name in names if given.get(name) is not None}:
            made.append((next(iter(here)), rule(here)))
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"variables.{name[:MAX_NAME]}: unknown; {nearest(name[:MAX_NAME], known, show=20)}")
        if value is not None and name not in together:
            made.append((name, rules[name](name, value) if name in rules else Mapped({name: value})))
    for name, one in made:
        notes += [one.note] if one.note is not None else []
        for new, value in one.values.items():
            if new in values and values[new] != value:
                raise ConfigError(f"variables.{name}: {new} is given twice, with different values")
            values[new] = value
    for name, value in values.items():
        if str(fields[name].type).startswith("list") and isinstance(value, str | int) and not isinstance(value, bool):
            values[name] = [value]
    if family_mode is not None:
        _family_mode(family_mode, values, notes)
    return rungs.apply(values)


def _family_mode(wanted: Any, values: dict[str, Any], notes: list[str]) -> None:
    """Collapse candidate tokens to families; without candidates, families are chosen in any case."""
    if not isinstance(wanted, bool):
        raise ConfigError(f"variables.family_mode: wants true or false, got {shown(wanted)}")
    given = values.get("candidates")
    if wanted and isinstance(given, list) and all(isinstance(each, str) for each in given):
        families = [each.rpartition("_")[0] if each.rpartition("_")[2].isdigit() else each for each in given]
        values["candidates"] = list(dict.fromkeys(families))
    elif not wanted and given is None:
        notes.append("variables.family_mode: without candidates, families are chosen, not single tokens")


def _base_weapon(value: Any) -> int | str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ConfigError(f"variables.base_weapon: wants a weapon's index or name, got {shown(value)}")
    return value


def spec_class(kind: str) -> type[Spec]:
    """Return the class of an experiment type."""
    if not _classes:
        _classes.update({o.name: o.load() for o in catalogue.options("experiment") if o.name in TYPES})
    return _classes[kind]
