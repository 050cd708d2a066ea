"""The page about the architecture: its rooms are those of the house, its functions are called in that order."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from paribus.tracking.relocate import relocate

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
STEPS = re.findall(r"^\| (\d+) \| `(\w+)` \| .*? \| (.*?) \| (.*?) ?\|$", TEXT, re.MULTILINE)
SMALL = "data.n_train=40 data.n_eval=30 data.image_size=8 training.epochs=1"
TRAIN = f"experiment=train_classifier data=digits_scanners {SMALL}"
TRACER = """
import json, sys
from paribus.cli.main import main
from paribus.running import caches
wanted, called, known = set(json.loads(sys.argv[1])), [], set()
def watch(frame, event, argument):
    if event == "call" and frame.f_code not in known:
        known.add(frame.f_code)
        name = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
        if name in wanted:
            wanted.discard(name)
            called.append(name)
words = [line.split() for line in sys.argv[2:]]
assert main(words[0]) == 0
caches.clear()
sys.setprofile(watch)
assert main(words[1]) == 0
sys.setprofile(None)
print("called:", json.dumps(called))
"""


def found(name):
    """Return what a dotted name means: the longest prefix that is a module, then attributes."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            thing = getattr(thing, part)
        return thing
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(paribus(?:\.\w+)+)`", TEXT))))
def test_every_name_on_the_page_exists(name):
    assert found(name) is not None


def test_the_rooms_are_those_of_the_contract():
    with (ROOT / "pyproject.toml").open("rb") as file:
        contract = tomllib.load(file)["tool"]["importlinter"]["contracts"][0]["layers"]
    layers = [re.sub(r"[()]", "", line) for line in contract]
    shown = re.search(r"^```\n(cli\n.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)[1].splitlines()
    assert [set(line.split(" | ")) for line in shown] == [set(line.split(" | ")) - {"digests"} for line in layers]
    described = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", TEXT, re.MULTILINE)
    named = {name for line in described for name in re.findall(r"\w+", line)}
    assert named == {name for line in layers for name in line.split(" | ")} - {"digests"}


def test_the_way_of_one_image_is_the_one_that_is_gone(tmp_path, migrated_database, prepared):
    """At most twenty rooms, none of them twice; every function is called, and rooms are entered in this order."""
    assert [int(number) for number, _, _, _ in STEPS] == list(range(1, len(STEPS) + 1)) and len(STEPS) <= 20
    rooms = [room for _, room, _, _ in STEPS]
    assert len(set(rooms)) == len(rooms)
    first, later = ({step[1]: re.findall(r"`([\w.]+)`", step[column]) for step in STEPS} for column in (2, 3))
    assert all(name.startswith(f"paribus.{room}.") for room in rooms for name in first[room] + later[room])
    wanted = [name for part in (first, later) for names in part.values() for name in names]
    assert len(set(wanted)) == len(wanted)
    shutil.copy2(migrated_database, tmp_path / "mlflow.db")
    relocate(tmp_path)
    command = re.search(r"^`paribus (experiment=activation_steering [^`]*)`", TEXT, re.MULTILINE)[1]

    words = [sys.executable, "-c", TRACER, json.dumps(wanted), TRAIN, f"{command} stats=quick experiment.alphas=[0,1]"]
    done = prepared.run(words, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    called = json.loads(done.stdout.rpartition("called: ")[2])
    assert set(called) == set(wanted)
    assert [name for name in called if name in sum(first.values(), [])] == sum(first.values(), [])
    for room in rooms:
        assert [name for name in called if name in first[room] + later[room]] == first[room] + later[room]
        if later[room]:  # only after a room further down has been entered
            below = [names[0] for other, names in first.items() if rooms.index(other) > rooms.index(room)]
            assert called.index(later[room][0]) > min(called.index(name) for name in below)
