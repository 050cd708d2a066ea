from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from paribus.config.foreign import Foreign
from paribus.config.science import science
from paribus.config.settings import Settings
from paribus.engine.device import DeviceSpec
from paribus.spec import Spec, field, kind_of


@dataclass(frozen=True)
class Data(Spec):
    seed: int = field(0, help="Seed.")
    root: str | None = field(None, science=False, help="Where it lies.")


@dataclass(frozen=True)
class Split(Spec):
    type: ClassVar[str] = "split_half"
    target: Any = field(None, help="Target.")
    parts: dict[str, Any] = field({}, help="Parts.")


def test_only_what_can_change_a_result_is_kept():
    assert science(Data(seed=3, root="/here")) == {"_kind_": f"{__name__}:Data", "seed": 3}
    assert science(Data(seed=3, root="/there")) == science(Data(seed=3))
    assert science(DeviceSpec()) == {"_kind_": "device", "dtype": "float32"}


def test_nested_specs_and_callables_are_reduced_too():
    node = Split(
        target=Data(root="x"), parts={"a": [Data(seed=2, root="y")], "b": Foreign("pkg.f", {"k": Data()}, print)}
    )
    assert science(node) == {
        "_kind_": f"{__name__}:Split",
        "target": {"_kind_": f"{__name__}:Data", "seed": 0},
        "parts": {
            "a": [{"_kind_": f"{__name__}:Data", "seed": 2}],
            "b": {"_kind_": "builtins:print", "k": {"_kind_": f"{__name__}:Data", "seed": 0}},
        },
    }
    json.dumps(science(node))


def test_another_class_with_the_same_fields_is_another_thing():
    @dataclass(frozen=True)
    class Other(Spec):
        seed: int = field(0, help="Seed.")

    assert science(Other()) != science(Data())


def test_a_field_called_type_does_not_hide_the_class():
    @dataclass(frozen=True)
    class Typed(Spec):
        type: str = field("a", help="Type.")

    assert science(Typed("b")) == {"_kind_": kind_of(Typed), "type": "b"}


def test_of_the_settings_seed_and_checkpoint_count():
    assert set(science(Settings())) == {"_kind_", "seed", "checkpoint"}
    assert science(replace(Settings(), reuse="never", dry_run=True)) == science(Settings())


def test_a_field_that_was_added_later_counts_only_where_it_differs_from_what_was_done_before():
    @dataclass(frozen=True)
    class Later(Spec):
        seed: int = field(0, help="Seed.")
        side: str = field("upper", help="Which side.", unstated="both")
        strict: bool = field(False, help="Whether.", unstated=False)
        keep: float | None = field(None, help="How much.", unstated=None)
        n: int = field(1, help="How many.", unstated=True)

    before = {"_kind_": kind_of(Later), "seed": 0}
    assert science(Later(side="both", n=2)) == {**before, "n": 2}
    assert science(Later()) == {**before, "side": "upper", "n": 1}, "the old behaviour need not be the default"
    assert science(Later(strict=True, keep=0.0)) == {**before, "side": "upper", "strict": True, "keep": 0.0, "n": 1}
