"""Reading a spec of the older format: a JSON object with known fields, and nothing that could do harm."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from paribus.errors import ConfigError, nearest, size_of

TYPES = (
    "family_1d_sweep", "family_2d_heatmap", "binary_presence_effect", "minimal_cores", "pairwise_interactions",
    "conditional_interactions", "within_family_interference", "frequent_itemsets", "weapon_sweep",
    "weapon_group_analysis", "kit_sweep", "token_influence_sweep", "core_coverage_analysis",
    "decoder_output_analysis", "split_half", "shuffle_null",
)  # fmt: skip
"""The sixteen experiment types of the older format."""

FIELDS = (
    "id", "type", "feature_id", "model_type", "dataset_slice", "variables", "constraints", "outputs", "description",
    "parent_hypothesis", "rationale", "created_at", "rungs",
)  # fmt: skip
TEXTS = ("parent_hypothesis", "description", "rationale", "created_at")
"""Fields of free text; they become tags of the run."""
PARTS = ("aggregates", "tables", "diagnostics", "figures")
"""What ``outputs`` can switch off in the result file."""

MAX_BYTES = 1 << 20
MAX_DEPTH = 8
MAX_NUMBER = 2**53
MAX_TEXT = 5000
MAX_NAME = 200
MAX_FEATURE = 2**31 - 1
_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")


@dataclass(frozen=True)
class LegacySpec:
    """One spec of the older format; values of its parts are plain and bounded, names in them are not looked up yet.

    Attributes:
        id: Name of the spec, a safe file stem.
        type: One of :data:`TYPES`.
        feature_id: Number of the latent.
        model_type: The model in the words of the spec.
        dataset_slice: Which contexts.
        variables: Variables of the experiment.
        constraints: Level of every constraint that is named.
        outputs: Which parts the result file holds.
        tags: Texts that become tags of the run.
        nearest_rungs: Whether rungs that do not exist are mapped to the nearest one.
    """

    id: str
    type: str
    feature_id: int
    model_type: str
    dataset_slice: Mapping[str, Any]
    variables: Mapping[str, Any]
    constraints: Mapping[str, Any]
    outputs: Mapping[str, bool]
    tags: Mapping[str, str]
    nearest_rungs: bool

    @property
    def file_name(self) -> str:
        """Name of the result file."""
        return f"{self.id}__f{self.feature_id}__{self.type.replace('_', '-')}.json"


def read(path: Path) -> LegacySpec:
    """Read a file.

    Raises:
        ConfigError: If it is missing, no JSON, or no spec.
    """
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: there is no such file")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({_short(error)})") from None
    return parse(raw, default_id=path.stem)


def parse(raw: bytes, *, default_id: str | None = None) -> LegacySpec:
    """Return the spec that a JSON text holds.

    Args:
        raw: The text, in UTF-8.
        default_id: Taken where the spec has no ``id`` of its own.

    Raises:
        ConfigError: If it is no JSON object, or a field is unknown or has a wrong value.
    """
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"the spec is larger than {size_of(MAX_BYTES)}")
    try:
        tree = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError:
        raise ConfigError("the spec is not text in UTF-8") from None
    except RecursionError:
        raise ConfigError(f"the spec is nested more than {MAX_DEPTH} deep") from None
    except ValueError as error:  # also whole numbers of thousands of digits
        raise ConfigError(f"the spec is no JSON: {_short(error)}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"the spec must be a JSON object with {', '.join(FIELDS[:4])}, ..., got a {_kind(tree)}")
    check_bounds(tree)
    return from_tree(tree, default_id)


def from_tree(tree: Mapping[str, Any], default_id: str | None) -> LegacySpec:
    """Return the spec of a parsed and bounded JSON object.

    Raises:
        ConfigError: If a field is unknown or has a wrong value.
    """
    for name in tree:
        if name not in FIELDS:
            raise ConfigError(f"{shown(name)}: unknown field; {nearest(name[:MAX_NAME], FIELDS, show=20)}")
    kind = _text(tree, "type", needed=True)
    if kind not in TYPES:
        raise ConfigError(f"type: no such experiment type {shown(kind)}; {nearest(kind[:MAX_NAME], TYPES, show=20)}")
    policy = tree.get("rungs")
    if policy not in (None, "nearest"):
        raise ConfigError(f"rungs: can only be 'nearest' here (a list goes under variables), got {shown(policy)}")
    variables = dict(_mapping(tree, "variables"))
    nearest_rungs = policy == "nearest"
    if variables.get("rungs") == "nearest":
        nearest_rungs = True
        del variables["rungs"]
    return LegacySpec(
        id=_identifier(tree.get("id") if tree.get("id") is not None else default_id),
        type=kind,
        feature_id=_feature(tree.get("feature_id")),
        model_type=_text(tree, "model_type", needed=True),
        dataset_slice=_mapping(tree, "dataset_slice"),
        variables=variables,
        constraints=_constraints(tree.get("constraints")),
        outputs=_outputs(tree.get("outputs")),
        tags=_tags(tree),
        nearest_rungs=nearest_rungs,
    )


def check_bounds(tree: Any) -> None:
    """Check depth, size of numbers, and characters of every value, without recursion.

    Raises:
        ConfigError: If something is too deep, too large, or no printable text.
    """
    waiting: list[tuple[Any, int, bool]] = [(tree, 1, False)]
    while waiting:
        value, depth, free = waiting.pop()
        if depth > MAX_DEPTH:
            raise ConfigError(f"the spec is nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict):
            for name in value:
                _check_name(name)
            waiting += [(each, depth + 1, depth == 1 and name in TEXTS) for name, each in value.items()]
        elif isinstance(value, list):
            waiting += [(each, depth + 1, False) for each in value]
        elif isinstance(value, str) and free:
            _check_text(value)
        elif isinstance(value, str):
            _check_name(value)
        elif isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
            raise ConfigError(f"the number {shown(value)} is too large")


def shown(value: Any) -> str:
    """Return a value for a message: one line, not too long."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_NUMBER:
        return "with very many digits"
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _identifier(value: Any) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value) or ".." in value:
        raise ConfigError(
            f"id: names a file, so it must be up to 100 letters, digits, '-', '_' and single '.', got {shown(value)}"
        )
    return value


def _feature(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_FEATURE:
        raise ConfigError(f"feature_id: wants a whole number from 0 to {MAX_FEATURE}, got {shown(value)}")
    return value


def _constraints(value: Any) -> dict[str, Any]:
    """A list names the constraints to enforce; an object gives each its level."""
    if value is None:
        return {}
    if isinstance(value, list):
        for each in value:
            if not isinstance(each, str):
                raise ConfigError(f"constraints: wants a list of names, got {shown(each)} in it")
        return dict.fromkeys(value, "hard")
    if isinstance(value, dict):
        levels: dict[Any, str] = {True: "hard", False: "off"}
        return {name: levels[level] if isinstance(level, bool) and name != "keep_empty" else level
                for name, level in value.items()}  # fmt: skip
    raise ConfigError(f"constraints: wants a list of names, or an object of levels, got {shown(value)}")


def _outputs(value: Any) -> dict[str, bool]:
    if value is None:
        return dict.fromkeys(PARTS, True)
    if isinstance(value, list):
        value = {**dict.fromkeys(PARTS, False), **{str(name): True for name in value}}
    if not isinstance(value, dict):
        raise ConfigError(
            f"outputs: wants a list of {', '.join(PARTS)}, or true and false for each, got {shown(value)}"
        )
    for name, wanted in value.items():
        if name not in PARTS:
            raise ConfigError(f"outputs: no such part {shown(name)}; {nearest(name[:MAX_NAME], PARTS)}")
        if not isinstance(wanted, bool):
            raise ConfigError(f"outputs.{name}: wants true or false, got {shown(wanted)}")
    return {**dict.fromkeys(PARTS, True), **value}


def _tags(tree: Mapping[str, Any]) -> dict[str, str]:
    found = {name: _text(tree, name) for name in TEXTS}
    return {name: text for name, text in found.items() if text}


def _text(tree: Mapping[str, Any], name: str, *, needed: bool = False) -> str:
    value = tree.get(name)
    if value is None:
        if needed:
            raise ConfigError(f"{name}: a value is needed")
        return ""
    if not isinstance(value, str):
        raise ConfigError(f"{name}: wants a text, got {shown(value)}")
    return " ".join(value.split())


def _mapping(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = tree.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: wants an object, such as {{}}, got {shown(value)}")
    return value


def _check_name(text: str) -> None:
    if len(text) > MAX_NAME:
        raise ConfigError(f"the name or value {shown(text)} has {len(text)} characters; at most {MAX_NAME} are taken")
    if not text.isprintable():
        raise ConfigError(f"the name or value {shown(text)} holds a character that cannot be printed")


def _check_text(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise ConfigError(f"a text has {len(text)} characters; at most {MAX_TEXT} are taken")
    for character in text:
        if not character.isprintable() and character not in " \t\r\n":
            raise ConfigError(f"a text holds the character U+{ord(character):04X}, which cannot be printed")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"{shown(twice)}: given more than once in the spec")
    return found


def _constant(name: str) -> NoReturn:
    raise ConfigError(f"the number {name} is too large")


def _kind(value: Any) -> str:
    return {list: "list", str: "text", bool: "truth value", type(None): "null"}.get(type(value), "number")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
