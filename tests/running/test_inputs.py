"""What a run read is kept with it, and compared with today before it is taken again."""

from __future__ import annotations

import json
import logging
import os

import pytest

from paribus.errors import ExperimentError
from paribus.running import inputs
from paribus.running.run import run_job

OWN = '''
"""Own things."""
import json
from dataclasses import dataclass
from pathlib import Path
import numpy as np
import paribus_toy

HERE = Path(__file__).parent
AT_IMPORT = json.loads((HERE / "at_import.json").read_text())

def numbers(table="", folder: str = "", declared: Path = ""):
    """Numbers from a hidden file, a named one, a folder and a declared one."""
    total = AT_IMPORT + float((HERE / "hidden.txt").read_text())
    total += float(np.load(table)[0]) if table else 0.0
    total += len([p for p in Path(folder).iterdir() if p.suffix == ".txt"]) if folder else 0
    total += float(open(declared).read()) if declared else 0.0
    try:
        total += float(open(HERE / "optional.txt").read())
    except FileNotFoundError:
        pass
    return np.full(4, total)

@dataclass(frozen=True)
class Reads(paribus_toy.Measure):
    """Reads a file while it runs."""
    type = "reads"
    def run(self, setup, recorder):
        """Run."""
        import own_reads.lazily
        bonus = float((HERE / "while_running.txt").read_text())
        (HERE / "made_by_itself.txt").write_text("1")
        (HERE / "made_by_itself.txt").read_text()
        setup.data = setup.data + bonus
        return super().run(setup, recorder)
'''


@pytest.fixture
def package(own, tmp_path):
    import numpy as np

    made = own("own_reads")
    made.write("things", OWN)
    made.write("lazily", "import importlib\nimportlib.import_module('own_reads.by_name')\n")
    made.write("by_name", "x = 1\n")
    for name, text in {"at_import.json": "1.0", "hidden.txt": "2.0", "while_running.txt": "3.0"}.items():
        (made.folder / name).write_text(text)
    (tmp_path / "listed").mkdir()
    (tmp_path / "listed" / "one.txt").write_text("1")
    (tmp_path / "declared.txt").write_text("4.0")
    np.save(tmp_path / "table.npy", np.array([5.0]))
    return made


@pytest.fixture
def measure(package, job, tmp_path):
    """Return ``measure(**changes)``: the result as a process that starts now gets it."""

    def run(folder=tmp_path, **groups):
        package.anew()
        data = {
            "_target_": "own_reads.things.numbers",
            "table": str(tmp_path / "table.npy"),
            "folder": str(tmp_path / "listed"),
            "declared": str(folder / "declared.txt"),
        }
        asked = job({"_target_": "own_reads.things.Reads"}, data=data, reuse="always", **groups)
        return run_job(asked, output_dir=tmp_path / "work" / "out")

    return run


MATTERS = {
    "read when the module is imported": ("own/own_reads/at_import.json", "1.5"),
    "read without being named": ("own/own_reads/hidden.txt", "2.5"),
    "read while the experiment runs": ("own/own_reads/while_running.txt", "3.5"),
    "declared by an annotation": ("declared.txt", "4.5"),
    "named by an argument": ("table.npy", None),
    "one more in a folder that is listed": ("listed/two.txt", "2"),
    "there now, and looked for in vain": ("own/own_reads/optional.txt", "7.0"),
}


def test_a_change_of_any_file_is_measured_again_and_nothing_else_is(store, measure, tmp_path, caplog):
    import numpy as np

    before = measure()
    assert before.aggregates.mean_delta == 1 + 2 + 5 + 1 + 4 + 3
    value = before.aggregates.mean_delta
    assert measure().run_id == before.run_id
    assert measure(device={"batch_limit": 7}).run_id == before.run_id
    for what, (name, text) in MATTERS.items():
        path = tmp_path / name
        if text is None:
            np.save(path, np.array([9.0]))
        else:
            path.write_text(text)
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="paribus"):
            after = measure()
        assert after.run_id != before.run_id, what
        assert after.aggregates.mean_delta != value, what
        if what != "declared by an annotation":  # that is another identity, so nothing is compared
            assert f"{os.path.dirname(path) if 'listed' in what else path}" in caplog.text, what
            assert "measured again" in caplog.text
        assert measure().run_id == after.run_id, what
        before, value = after, after.aggregates.mean_delta


def test_what_does_not_matter_is_reused(store, measure, package, tmp_path):
    import shutil

    first = measure()
    (package.folder / "things.py").write_text(OWN.replace('"""Own things."""', '"""Other words."""\n# a remark'))
    for file in tmp_path.rglob("*.txt"):
        file.touch()
    (tmp_path / "listed" / ".hidden").write_text("")
    (tmp_path / "unread.txt").write_text("x")
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(tmp_path / "declared.txt", tmp_path / "elsewhere" / "declared.txt")
    assert measure(folder=tmp_path / "elsewhere").run_id == first.run_id


def test_everything_that_was_read_stands_in_the_provenance_by_digest(store, measure, package, tmp_path):
    import hashlib

    result = measure()
    kept = store.result(result.run_id).provenance["files"]
    read = {path.rsplit("/", 1)[-1]: digest for path, digest in kept["opened"].items()}
    assert set(read) == {"at_import.json", "hidden.txt", "while_running.txt", "table.npy"}
    assert read["hidden.txt"] == hashlib.sha256(b"2.0").hexdigest()
    assert list(kept["declared"]) == ["data.declared"]
    assert [path.rsplit("/", 1)[-1] for path in kept["absent"]] == ["optional.txt"]
    assert str(tmp_path / "listed") in kept["listed"]
    assert any(path.endswith("by_name.py") for path in kept["sources"])


def test_code_that_is_imported_by_name_is_seen_too(store, measure, package):
    first = measure()
    package.write("by_name", "x = 1  # the same\n")
    assert measure().run_id == first.run_id
    package.write("by_name", "x = 2\n")
    assert measure().run_id != first.run_id


@pytest.mark.parametrize("file", ["declared.txt", "own/own_reads/hidden.txt"])
def test_a_file_that_changes_while_the_run_goes_on_fails_it(store, measure, tmp_path, monkeypatch, file):
    import paribus_toy

    original = paribus_toy.Measure.run

    def run(self, setup, recorder):
        os.replace(tmp_path / "new.txt", tmp_path / file)  # as another program would
        return original(self, setup, recorder)

    (tmp_path / "new.txt").write_text("8.0")
    monkeypatch.setattr(paribus_toy.Measure, "run", run)
    with pytest.raises(ExperimentError, match=r"was changed or replaced .*run it again"):
        measure()
    (kept,) = store.runs()
    assert kept.status == "FAILED"
    monkeypatch.undo()


def test_what_another_job_of_the_process_left_in_memory_counts_for_the_next(store, package, job, tmp_path):
    """The second job takes the data from memory; the file they were made from still is its own."""
    package.anew()
    data = {"_target_": "own_reads.things.numbers"}
    first = run_job(job("Measure", data=data, reuse="always"), output_dir=tmp_path / "work" / "a")
    second = run_job(job({"_target_": "paribus_toy.Measure", "factor": 2.0}, data=data, reuse="always"))
    read = [set(store.result(r.run_id).provenance["files"]["opened"]) for r in (first, second)]
    assert read[0] == read[1] and any(path.endswith("hidden.txt") for path in read[1])


def test_very_many_files_stand_in_a_file_of_their_own(store, package, job, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "MOST_NAMED", 1)
    package.anew()
    asked = job("Measure", data={"_target_": "own_reads.things.numbers"}, reuse="always")
    result = run_job(asked, output_dir=tmp_path / "work" / "a")
    noted = store.result(result.run_id).provenance["files"]
    assert noted["file"] == "inputs.json" and noted["number"] == 3
    every = json.loads(store.download(result.run_id, "inputs.json").read_text())
    assert set(every) == {"opened", "absent"}
    assert run_job(asked).run_id == result.run_id
    (package.folder / "hidden.txt").write_text("9.0")
    package.anew()
    assert (
        run_job(job("Measure", data={"_target_": "own_reads.things.numbers"}, reuse="always")).run_id != result.run_id
    )


def test_of_very_many_declared_files_those_of_a_group_are_kept_as_one(monkeypatch):
    declared = {f"data.{n}.png": (f"/set/a/{n}.png", f"digest {n}") for n in range(200)}
    declared["model.weights"] = ("/w.pt", "weights")
    assert inputs._together(declared) is declared
    monkeypatch.setattr(inputs, "MOST_LISTED", 150)
    found = inputs._together(declared)
    assert set(found) == {"data (200 files)", "model.weights"} and found["data (200 files)"][0] == "/set/a"
    changed = inputs._together({**declared, "data.7.png": ("/set/a/7.png", "another")})
    assert changed["data (200 files)"] != found["data (200 files)"]


def test_a_stopped_training_does_not_go_on_with_other_files(tmp_path, caplog):
    from paribus.running.workspace import FileWorkspace

    for digest, kept in (("a", ()), ("a", ("resume",)), ("b", ())):
        workspace = FileWorkspace("1234", lambda path: None, root=tmp_path)
        workspace.made_from(digest)
        assert workspace.names() == kept
        workspace.save("resume", {"epoch": 1})
        workspace.release()
    assert "begins anew" in caplog.text


def test_a_model_of_another_training_is_another_model_for_what_follows(store, package, job, tmp_path):
    """The training read a file that its identity does not know; what is measured on its model must not be mixed up."""
    data = {"_target_": "own_reads.things.numbers"}

    def follow():
        package.anew()
        trained = run_job(job("Train", data=data, reuse="always"), output_dir=tmp_path / "work" / "t")
        model = {"_target_": "paribus.models.tracked.Tracked", "run": trained.run_id}
        return trained, run_job(job("Measure", data=data, model=model, reuse="always", checkpoint="final"))

    trained, first = follow()
    assert follow()[1].run_id == first.run_id
    (package.folder / "hidden.txt").write_text("9.0")
    again, second = follow()
    assert again.run_id != trained.run_id and second.run_id != first.run_id
    (package.folder / "hidden.txt").write_text("2.0")
    third, last = follow()
    assert (third.run_id, last.run_id) == (trained.run_id, first.run_id), "the first ones are whole again"


def test_what_jobs_share_is_not_changed_by_one_of_them(store, package, job, tmp_path):
    package.write(
        "greedy",
        """
        from dataclasses import dataclass
        import paribus_toy
        @dataclass(frozen=True)
        class Greedy(paribus_toy.Measure):
            type = "greedy"
            spoils: bool = True
            def run(self, setup, recorder):
                if self.spoils:
                    setup.data *= 2.0
                return super().run(setup, recorder)
        """,
    )
    package.anew()
    data = {"_target_": "own_reads.things.numbers"}
    before = run_job(job("Measure", data=data), output_dir=tmp_path / "work" / "a")
    with pytest.raises(ExperimentError, match="in place"):
        run_job(job({"_target_": "own_reads.greedy.Greedy"}, data=data))
    run_job(job({"_target_": "own_reads.greedy.Greedy", "spoils": False}, data=data))
    after = run_job(job("Measure", data=data))
    assert after.aggregates.mean_delta == before.aggregates.mean_delta
