"""Setting values in a part of a configuration gives what setting them in the whole gives."""

from __future__ import annotations

import pickle
import random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from paribus.config.compose import Composer
from paribus.config.composed import Composed
from paribus.config.restate import value_text
from paribus.tracking.params import flatten

REFERRING = {
    "a": {"x": 1, "long": {"y": [1, 2, 3]}},
    "b": {"of_a": "${a.x}", "text": "<${a.long.y[1]}>"},
    "c": {"of_b": "${b.of_a}", "near": "${.own}", "own": 5},
    "d": {"plain": 1, "deep": {"up": "${..plain}"}},
    "e": "${f}",
    "f": {"plain": 2},
    "n": None,
    "s": 7,
    "t": {"of_s": "${s}"},
    "u": {"alone": 3},
}
WORDS = ("a.x=2", "a.long.y=[4,5,6]", "b.text=new", "c.own=6", "d.plain=9", "f.plain=3", "s=8", "u.alone=4", "+u.new=5",
         "++n=1", "+new=2", "u={alone:9}", "u.alone=${s}", "d.deep.up=1")  # fmt: skip


def parsed(words):
    return OverridesParser.create().parse_overrides(list(words))


def composed(tree):
    config = OmegaConf.create(tree)
    OmegaConf.set_struct(config, True)
    return Composed(config)


def by_all(made, words):
    """Return what the whole configuration gives, or what it is refused with."""
    try:
        return made._resolved(made._whole, parsed(words))
    except Exception as error:
        return str(error)


@pytest.mark.parametrize("further", [{}, {"v": "${oc.select:a.x}"}, {"v": {"w": "${${s}}"}}, {"v": {"w": "???"}}])
def test_whatever_refers_to_a_value_follows_it(further):
    made = composed(REFERRING | further)
    rng = random.Random(0)
    for _ in range(30):
        words = rng.sample(WORDS, rng.randint(0, 3))
        try:
            found = made.with_values(parsed(words))
        except Exception as error:
            assert str(error) == by_all(made, words)
            continue
        assert repr(found) == repr(by_all(made, words)), words  # the order of the keys included
    assert any(part is not None for part in made._parts.values()) is not bool(further)


def test_only_what_a_value_can_reach_is_composed_again():
    made = composed(REFERRING)
    made.with_values(parsed(["s=8"]))
    (part,) = made._parts.values()
    assert set(pickle.loads(part.rest)) == {"u"}  # all others refer to something, are referred to, or are no groups


def test_jobs_do_not_share_the_rest():
    made = composed(REFERRING)
    first, second = (made.with_values(parsed(["s=8"])) for _ in range(2))
    first["u"]["alone"] = "changed"
    assert second["u"]["alone"] == 3


@pytest.mark.parametrize(
    "words",
    [("study=shortcut_digits",), ("experiment=family_1d_sweep", "experiment.family=SCU", "feature=threshold",
                                  "model=planted", "data=builds_generated", "stats=quick")],
)  # fmt: skip
def test_shipped_configurations_are_taken_apart_rightly(words):
    composer = Composer()
    made, values = composer._base(words)
    leaves = flatten(composer.plain(words))
    rng = random.Random(1)
    for _ in range(20):
        chosen = [f"{key}={value_text(leaves[key])}" for key in rng.sample(sorted(leaves), 3)]
        every = [*values, *parsed([*chosen, f"seed={rng.randint(0, 9)}"])]
        try:
            found = made.composed.with_values(every)
        except OmegaConfBaseException as error:
            with pytest.raises(type(error)):
                made.composed._resolved(made.composed._whole, every)
            continue
        assert repr(found) == repr(made.composed._resolved(made.composed._whole, every)), chosen
    assert all(part is not None for part in made.composed._parts.values())


TEXTS = ("${seed}", r"\${seed}", r"\\${seed}'", "it's", "end\\", r"a\'b", "", "a b", "1.5", "NULL", "0x10", "x=y")


def test_a_text_comes_back_as_it_was_written():
    words = ["experiment=family_1d_sweep", "experiment.family=SSU"]
    wanted = {f"t{number}": text for number, text in enumerate(TEXTS)}
    words += [f"+tracking.tags.{name}={value_text(text)}" for name, text in wanted.items()]
    assert Composer().plain(words)["tracking"]["tags"] == wanted
