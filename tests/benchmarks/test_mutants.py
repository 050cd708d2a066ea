"""The mutation tool on a toy: which changes it offers, which it takes, and which of them the toy's tests notice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.mutants.__main__ import summary
from benchmarks.mutants.changes import changes
from benchmarks.mutants.equivalents import FIELDS, Equivalent, read
from benchmarks.mutants.mirror import mirror
from benchmarks.mutants.overlay import Outcome
from benchmarks.mutants.sample import ROOMS, from_file, sample
from benchmarks.mutants.trial import Ran, Verdict, measure, try_changes

ROOT = Path(__file__).parents[2]
TOY = '''"""A toy: 1 + 1."""

from dataclasses import dataclass

LIMIT: int = 5


@dataclass(frozen=True)
class Scale:
    """A scale."""

    factor: float = 2.0

    def of(self, x: float, y: float = 3) -> float:
        """Return 10 + 10."""
        if x < LIMIT and not y == 0:
            return (x - y) / self.factor
        raise ValueError(f"{x + 1} is too large")


def spread(values):
    values.sort()
    return max(values) - abs(-values[0])


def squared(value):
    print("a", 1)
    return pow(value, 2) if value else None
'''
TESTS = """
import pytest
from toypkg.room.toy import Scale, spread


def test_of():
    assert Scale().of(2) == -0.5
    with pytest.raises(ValueError):
        Scale().of(9)


@pytest.mark.parametrize("values", [[3, 1, 2]])
def test_spread(values):
    assert spread(values) == 2
"""
MORE = """
import pytest
from toypkg.room.toy import squared


@pytest.mark.parametrize("value", [3])
def test_squared(value):
    assert squared(value) == 9


def test_nothing():
    pass
"""


@pytest.fixture(scope="module")
def offered():
    return changes(TOY.encode(), "room/toy.py")


def taken(source, seed):
    return from_file(source.encode(), "room/toy.py", seed=seed, one_in=3)


def after(offered, function, kind):
    return [change.after for change in offered if (change.function, change.kind) == (function, kind)]


def test_every_kind_of_change_is_offered_where_it_fits(offered):
    assert after(offered, "Scale.of", "comparison") == [
        "if (x <= LIMIT) and not y == 0:",
        "if (x >= LIMIT) and not y == 0:",
        "if x < LIMIT and not (y != 0):",
    ]
    assert after(offered, "Scale.of", "boolean") == ["if (x < LIMIT or not y == 0):", "if x < LIMIT and (y == 0):"]
    assert after(offered, "Scale.of", "negated condition") == ["if not (x < LIMIT and not y == 0):"]
    assert after(offered, "Scale.of", "swapped operands") == [
        "return (self.factor / (x - y))",
        "return ((y - x)) / self.factor",
    ]
    assert after(offered, "Scale.of", "swapped arithmetic")[1] == "return ((x + y)) / self.factor"
    assert after(offered, "Scale.of", "removed statement") == ["pass"]
    assert "def of(self, x: float, y: float = 4) -> float:" in after(offered, "Scale.of", "number")
    assert after(offered, "Scale", "number") == ["factor: float = 4.0"]
    assert after(offered, "<module>", "number") == ["LIMIT: int = 4", "LIMIT: int = 6"]
    assert after(offered, "spread", "removed statement") == ["pass"]
    assert after(offered, "spread", "sign") == ["return max(values) - abs((values[0]))"]
    assert after(offered, "spread", "counterpart") == ["return min(values) - abs(-values[0])"]
    assert after(offered, "squared", "swapped arguments") == ["return pow(2, value) if value else None"]


def test_texts_annotations_imports_and_decorators_are_left_alone(offered):
    lines = TOY.splitlines()
    for change in offered:
        changed = change.apply(TOY.encode()).decode()
        compile(changed, "toy", "exec")
        assert [number for number, line in enumerate(changed.splitlines(), 1) if line != lines[number - 1]] == [
            change.line
        ]
    touched = {lines[change.line - 1].strip() for change in offered}
    assert not touched & {'"""A toy: 1 + 1."""', '"""Return 10 + 10."""', "@dataclass(frozen=True)", 'print("a", 1)'}


def test_the_sample_of_a_file_stays_when_something_else_is_edited(offered):
    edited = TOY.replace("LIMIT: int = 5", "LIMIT: int = 5\nMORE = 7\nOTHER = 8").replace("abs(", "fabs(")
    again = changes(edited.encode(), "room/toy.py")
    before = {change.key for change in taken(TOY, 1)}
    since = {change.key for change in taken(edited, 1)}
    untouched = {change.key for change in again} & {change.key for change in offered}
    assert len(before) == round(len(offered) / 3)
    assert len((before & untouched) - since) <= 1
    assert {change.key for change in taken(TOY, 2)} != before


def test_the_sample_of_paribus_is_the_same_twice_and_large_enough():
    package = ROOT / "src" / "paribus"
    found = sample(package)
    assert len({change.key for change in found}) == len(found) >= 200
    assert sample(package, rooms=["results"]) == [change for change in found if change.file.startswith("results/")]


def test_tests_that_mirror_a_file_are_found_by_name(tmp_path):
    (tmp_path / "tests" / "room").mkdir(parents=True)
    for name in ("test_toy.py", "test_toy_more.py", "test_toys.py"):
        (tmp_path / "tests" / "room" / name).touch()
    assert mirror("room/_toy.py", tmp_path / "tests") == ["tests/room/test_toy.py", "tests/room/test_toy_more.py"]
    assert mirror("room/other.py", tmp_path / "tests") == []


def test_every_kept_equivalent_has_a_reason_and_is_named_once():
    kept = read()
    assert len({(entry.file, entry.function, entry.before, entry.after) for entry in kept}) == len(kept) > 0
    assert {entry.file.split("/")[0] for entry in kept} <= {room.split("/")[0] for room in ROOMS}


def test_an_equivalent_without_a_reason_is_refused(tmp_path):
    kept = tmp_path / "kept.yaml"
    kept.write_text(json.dumps([dict.fromkeys(FIELDS, "x")]))
    with pytest.raises(ValueError, match="with a reason in words"):
        read(kept)


def test_the_summary_fails_below_nine_in_ten_and_with_too_many_equivalents(offered, capsys):
    verdicts = [Verdict(change, number != 0, "mirror", 1.0) for number, change in enumerate(offered[:10])]
    assert summary(verdicts, [], [], seconds=60, whole=False) == 0
    assert "9 noticed (90.0%; 9 by mirror), 1 not" in capsys.readouterr().out
    assert summary([Verdict(offered[1], False, "", 1.0), *verdicts], [], [], seconds=60, whole=False) == 1
    assert summary(verdicts, [], [], seconds=60, whole=True) == 1, "ten changes are no sample"
    assert summary(verdicts, offered[20:22], [], seconds=60, whole=False) == 1
    stale = Equivalent("room/toy.py", "gone", "a", "b", "It is no longer there.")
    assert summary(verdicts, [], [stale], seconds=60, whole=False) == 0
    assert "no longer in the sample  room/toy.py gone: a -> b" in capsys.readouterr().out


TRY = """
import json, sys
from pathlib import Path
from benchmarks.mutants.changes import changes
from benchmarks.mutants.overlay import Overlay
from benchmarks.mutants.trial import measure, mirrored, try_changes, wider

root, work = map(Path, sys.argv[1:])
copies = [Overlay(root, work / str(number)) for number in range(2)]
offered = changes((root / "src/toypkg/room/toy.py").read_bytes(), "room/toy.py")
chosen = [c for c in offered if c.function == "Scale.of" and c.kind == "swapped operands" or c.function == "squared"]
ran = measure(["tests/room/test_toy.py", "tests/other/test_more.py"], copies, work, source="src/toypkg")
kinds = {"mirror": lambda c: mirrored(c, ran, root / "tests"), "wider": lambda c: wider(c, ran, root / "tests")}
told = []
done = []
for by, of in kinds.items():
    done += try_changes(chosen, copies, of, by=by, told=told.append, source="src/toypkg")
assert told == done
print("RAN", json.dumps([[test.node, test.passed, sorted(test.functions)] for test in ran]))
print("DONE", json.dumps([[v.change.function, v.killed, v.by] for v in done]))
"""


def test_changes_of_a_toy_are_tried_in_copies_and_only_what_is_tested_is_noticed(tmp_path):
    room, tests = tmp_path / "root" / "src" / "toypkg" / "room", tmp_path / "root" / "tests" / "room"
    room.mkdir(parents=True)
    tests.mkdir(parents=True)
    (room / "toy.py").write_text(TOY)
    (tests / "test_toy.py").write_text(TESTS)
    (tests.parent / "other").mkdir()
    (tests.parent / "other" / "test_more.py").write_text(MORE)
    words = [sys.executable, "-c", TRY, str(tmp_path / "root"), str(tmp_path / "work")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    ran, verdicts = (
        json.loads(line.partition(" ")[2]) for line in done.stdout.splitlines() if line.startswith(("RAN ", "DONE "))
    )
    assert {name.partition("::")[2]: functions for name, passed, functions in ran if passed} == {
        "test_of": ["room/toy.py:Scale.of"],
        "test_spread[values0]": ["room/toy.py:spread"],
        "test_squared[3]": ["room/toy.py:squared"],
        "test_nothing": [],
    }
    first, then = sorted(verdicts[:6]), sorted(verdicts[6:])
    assert first == [*[["Scale.of", True, "mirror"]] * 2, *[["squared", False, ""]] * 4]
    assert then == [*[["Scale.of", False, ""]] * 2, *[["squared", True, "wider"]] * 4], "by the tests beyond the mirror"
    assert (room / "toy.py").read_text() == TOY, "the checkout is never edited"


class OutOfTime:
    """A copy in which no test ends."""

    def __init__(self, folder):
        self.folder = folder

    def start(self, tests, *, plugins, changed):
        return self

    def ended(self, limit):
        return Outcome(None, limit, "")

    def write(self, path, content):
        (self.folder / path).write_bytes(content)


def test_what_does_not_end_is_no_test_without_a_change_and_notices_one(tmp_path, offered):
    copy = OutOfTime(tmp_path)
    (ran,) = measure(["tests/test_a.py"], [copy], tmp_path, limit=5.0)
    assert ran == Ran("tests/test_a.py", 5.0, False, frozenset())
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "toy.py").write_text(TOY)
    tests = {True: [Ran("tests/test_b.py::test", 1.0, True, frozenset())], False: [ran]}
    for passes, expected in ((True, (True, "time")), (False, (False, ""))):
        (verdict,) = try_changes(
            offered[:1], [copy], lambda _, passes=passes: tests[passes], by="mirror", told=lambda _: None, source="."
        )
        assert (verdict.killed, verdict.by) == expected
    assert (tmp_path / "room" / "toy.py").read_text() == TOY
