"""Thousands of broken specs: each is refused in one line or becomes a request that can be composed."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from paribus.config.compose import Composer
from paribus.errors import ConfigError
from paribus.experiments.builds.older import document, words

SPECS = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "specs").glob("*.json"))]
N_TREES, N_TEXTS, N_COMPOSED = 4500, 1500, 60
ODD = [
    *(None, True, False, 0, -1, 3, 2.5, 1e308, -1e-308, 10**18, 10**300, float("nan"), float("inf")),
    *("", " ", "null", "true", "nan", "1e5", "..", "../../etc/passwd", "/tmp/x", "x" * 7000),
    *("a'b", 'a"b', "a\\", "\\'", "${seed}", "\\${seed}", "${oc.env:HOME}", "$HOME", "`id`", "a=b", "a,b", "[1,2]"),
    *("{a: 1}", "a\nb", "\x00", "\ud800", "é", "swim_speed_up", "SSU_35", "SSU_12", "quick_respawn_999", "nearest"),
    *([], [[]], [None], [3, 6], [3, 35], ["SSU", 3], [True]),
    *({}, {"": 1}, {"a": {"b": []}}, {"type": "family_1d_sweep"}, {"_target_": "os.system"}),
    {"type": "split_half", "variables": {"target": "split_half"}},
]
NAMES = [
    *document.FIELDS,
    *document.PARTS,
    *("family", "rungs", "rung", "target", "_target_", "experiment", "stable_tokens", "candidates", "modulator"),
    *("metric", "base_weapon", "family_mode", "", "a.b", "a=b", "x" * 300, "\n"),
]


def nested(rng, depth):
    value = copy.deepcopy(rng.choice(ODD))
    for _ in range(depth):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def places(tree):
    """Return every container in a tree."""
    found, waiting = [], [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            found.append(value)
            waiting += list(value.values() if isinstance(value, dict) else value)
    return found


def broken(rng):
    """Return one of the examples with one to four things changed."""
    tree = copy.deepcopy(rng.choice(SPECS))
    for _ in range(rng.randint(1, 4)):
        place = rng.choice(places(tree))
        what = rng.random()
        value = nested(rng, rng.choice([0, 0, 0, 0, 1, 3, 12])) if what < 0.8 else copy.deepcopy(rng.choice(SPECS))
        if isinstance(place, list):
            place.insert(rng.randint(0, len(place)), value)
        elif place and what < 0.65:
            place[rng.choice(list(place))] = value
        elif place and what < 0.75:
            del place[rng.choice(list(place))]
        else:
            place[rng.choice(NAMES)] = value
    return tree


def scrambled(rng):
    """Return the bytes of an example, cut and changed."""
    raw = bytearray(json.dumps(rng.choice(SPECS)).encode())
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(raw))
        what = rng.random()
        if what < 0.5:
            raw[at] = rng.randrange(256)
        elif what < 0.7:
            del raw[at : at + rng.randint(1, 40)]
        else:
            raw[at:at] = rng.choice([b"[", b"{", b'"', b"\\", b"9" * 50, b"[" * 3000, b",", b"null", b"\xed\xa0\x80"])
        raw = raw or bytearray(b"x")
    return bytes(raw)


def attempt(raw):
    """Return the request a text makes, None if it is refused as it should be; anything else fails the test."""
    try:
        spec = document.parse(raw, default_id="stem")
        made = words.request(spec)
    except ConfigError as error:
        message = str(error)
        assert message
        assert len(message) < 3000
        assert message.isprintable()
        message.encode()
        return None
    assert Path(spec.file_name).name == spec.file_name
    assert not spec.file_name.startswith(".")
    assert len(spec.file_name) < 200
    for word in (*made.words, *made.notes):
        assert word.isprintable()
    return made


def test_broken_specs_are_refused_or_become_requests():
    rng = random.Random(20)
    taken = refused = 0
    kept = []
    for number in range(N_TREES + N_TEXTS):
        raw = json.dumps(broken(rng)).encode() if number < N_TREES else scrambled(rng)
        made = attempt(raw)
        if made is None:
            refused += 1
        else:
            taken += 1
            kept.append(made)
    assert taken + refused >= 5000
    assert taken > 100  # the mutations do not only make rubbish
    assert refused > 2000
    composer = Composer()
    for made in rng.sample(kept, N_COMPOSED):
        job = composer.job(made.words)  # whatever is taken is a configuration
        assert job.experiment.type in document.TYPES


@pytest.fixture(scope="module")
def composer():
    return Composer()


TEXTS = st.text(alphabet=st.sampled_from("ab'\"\\${}[]:,=() \tä~#|`&;<>*?!%@^-+0"), max_size=25)


def composed(composer, value):
    """Return a value as a configuration holds it after it was written on the command line."""
    override = composer._parse(f"+tracking.tags.x={words.written(value)}")
    return OmegaConf.to_container(OmegaConf.create({"x": override.value()}), resolve=True)["x"]


@settings(deadline=None, max_examples=120)
@given(text=TEXTS)
def test_every_text_comes_back_as_it_was(text, composer):
    assert composed(composer, text) == text


@settings(deadline=None, max_examples=60)
@given(value=st.one_of(st.integers(-(2**53), 2**53), st.floats(-1e15, 1e15), st.booleans(), st.none(), st.lists(TEXTS)))
def test_every_value_comes_back_as_it_was(value, composer):
    back = composed(composer, value)
    assert back == value
    assert type(back) is type(value)
