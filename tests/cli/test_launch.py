from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from paribus.cli import execute
from paribus.config.compose import Composer
from paribus.sweep import outcome as outcomes
from paribus.sweep.outcome import Outcome


def job_folders(folder: Path) -> list[Path]:
    return sorted(found.parent for found in folder.rglob("outcome.json"))


def test_a_single_run(program):
    assert program("seed=3") == 0
    assert [line.split()[0] for line in program.log()] == ["start", "end"]
    assert program.log()[0].split()[2] == "None"  # it belongs to no sweep
    (folder,) = job_folders(program.folder)
    place = folder.relative_to(program.folder).as_posix()
    assert re.fullmatch(r"multirun/single/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d-\d{6}", place)
    kept = json.loads((folder / "outcome.json").read_text())
    assert (kept["status"], kept["run_id"], kept["sweep"]) == ("done", "run3", None)
    assert kept["overrides"] == ["seed=3", "experiment=fake", "tracking=off"]


def test_a_sweep_runs_every_job_and_is_finished(program):
    assert program("-m", "seed=range(3)") == 0
    words = [line.split() for line in program.log()]
    assert [w[:2] for w in words if w[0] == "start"] == [["start", "0"], ["start", "1"], ["start", "2"]]
    sweeps = {w[2] for w in words if w[0] == "start"}
    assert len(sweeps) == 1
    assert words[-1] == ["finish", "3", sweeps.pop(), "False"]
    folders = job_folders(program.folder)
    assert [folder.name for folder in folders] == ["0", "1", "2"]
    place = folders[0].parent.relative_to(program.folder).as_posix()
    assert re.fullmatch(r"multirun/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d-\d{6}", place)


@pytest.mark.parametrize(
    ("do", "code", "status", "part"),
    [
        ("raise", 1, "failed", "RuntimeError: a bolt came loose"),
        ("experiment_error", 1, "failed", "the loss is not finite"),
        ("unsuccessful", 1, "failed", "it did not work"),
        ("refuse", 2, "refused", "img_7.png is corrupted"),
        ("no_store", 1, "failed", "runs cannot be kept here"),
    ],
)
def test_a_run_that_fails_says_so_in_one_line(program, do, code, status, part):
    assert program(f"experiment.do={do}") == code
    assert program.err.startswith("paribus: ") and part in program.err
    assert len(program.err.splitlines()) == 1
    assert "Traceback" not in program.out + program.err
    (folder,) = job_folders(program.folder)
    assert outcomes.read(folder).status == status
    if do != "unsuccessful":
        assert "Traceback" in (folder / "traceback.txt").read_text()


def test_a_sweep_goes_on_after_a_failure_and_ends_in_a_table(program):
    assert program("-m", "seed=range(4)", "experiment.do=raise_odd") == 1
    assert [line for line in program.log() if line.startswith("end")] == ["end 0", "end 2"]
    assert program.log()[-1].startswith("finish 4")
    assert "2 of 4 jobs did not finish:" in program.err
    assert "seed=1: RuntimeError: a bolt came loose" in program.err
    assert "seed=0" not in program.err
    for folder in job_folders(program.folder):
        said = "Traceback" in (folder / "paribus.log").read_text()
        assert said == (outcomes.read(folder).status == "failed"), "each job's own log says what went wrong in it"


def test_a_sweep_in_which_everything_is_refused_was_a_wrong_request(program):
    assert program("-m", "seed=1,2", "experiment.do=refuse") == 2
    assert program("-m", "seed=1,2", "experiment.do=refuse,finish") == 1
    assert program("-m", "seed=1,2", "experiment.do=no_store") == 1, "the request was right"


def test_a_comparison_that_fails_makes_the_sweep_fail(program, monkeypatch):
    monkeypatch.setenv("FAKE_FINISH", "fail")
    assert program("-m", "seed=1,2") == 1
    assert "comparison: seeds are missing" in program.err


def test_every_job_is_validated_before_the_first_starts(program):
    assert program("-m", "experiment.do=finish,finish,invalid") == 2
    assert "data.root: there is no such folder [job 3 of 3:" in program.err
    assert program.log() == [] and program.left_behind() == []
    assert program("experiment.do=invalid") == 2
    assert program.err == "paribus: data.root: there is no such folder\n"


def test_a_dry_run_validates_and_leaves_nothing(program):
    assert program("-m", "seed=1,2", "dry_run=true") == 0
    assert "2 jobs: dry_run=True experiment=fake tracking=off" in program.out
    assert "seed=2" in program.out and "Nothing was run" in program.out
    assert program("dry_run=true", "experiment.do=invalid") == 2
    assert program.log() == [] and program.left_behind() == []


def test_a_signal_that_comes_when_the_run_is_finished_leaves_a_job_that_is_done(program):
    assert program("-m", "seed=1,2", "experiment.do=late_signal") == 130
    (folder,) = job_folders(program.folder)
    assert (outcomes.read(folder).status, outcomes.read(folder).run_id) == (outcomes.DONE, "run1")
    assert program.log()[-1].startswith("finish 2") and program.log()[-1].endswith("True")


def test_a_full_disk_does_not_stop_the_sweep(program, monkeypatch):
    """The outcome cannot be written: the job counts as one that left none, and the others go on."""
    write = Outcome.write

    def full(self, folder):
        if folder.name == "0":
            raise OSError(28, "No space left on device")
        write(self, folder)

    monkeypatch.setattr(Outcome, "write", full)
    assert program("-m", "seed=1,2") == 1
    assert [line for line in program.log() if line.startswith("end")] == ["end 1", "end 2"]
    assert "1 left no outcome" in program.err


def test_own_output_folders_with_odd_names(program):
    assert program("hydra.run.dir='here (it is) = me'") == 0
    assert [f.name for f in job_folders(program.folder)] == ["here (it is) = me"]
    assert program("-m", "seed=1,2", "hydra.sweep.dir='my sweep, (1)'") == 0
    assert [f.name for f in job_folders(program.folder / "my sweep, (1)")] == ["0", "1"]


@pytest.mark.parametrize("name", ["x" * 300, "new/" + "x" * 300, "x" * 5000])
def test_an_output_folder_with_a_name_that_no_folder_can_have_is_refused(program, name):
    assert program("-m", "seed=1,2", f"hydra.sweep.dir={name}") == 2
    assert "hydra.sweep.dir" in program.err and "too long" in program.err and not [*program.folder.glob("new*")]
    assert program(f"hydra.run.dir={name}") == 2


def test_a_folder_used_twice_does_not_mix_two_sweeps(program):
    assert program("-m", "seed=range(4)", "experiment.do=raise", "hydra.sweep.dir=same") == 1
    assert program("-m", "seed=range(2)", "hydra.sweep.dir=same") == 0
    assert program.err == ""


def test_what_hydra_shows_is_shown_and_runs_nothing(program):
    assert program("--cfg", "job") == 0
    assert "do: finish" in program.out
    assert program("--cfg", "job", "experiment.dou=1") == 2
    assert program.err.startswith("paribus: ") and "Traceback" not in program.err
    assert program("--info", "searchpath") == 0, program.err
    assert program.log() == [] and program.left_behind() == []


def test_jobs_are_what_was_checked(program, monkeypatch):
    seen = []
    original = sys.modules["paribus.running.run"].run_job
    monkeypatch.setattr("paribus.sweep.task.run_job", lambda job, **more: seen.append(job) or original(job, **more))
    assert program("-m", "model=mlp", "seed=5,6") == 0
    composer = Composer([Path(__file__).parent / "fakes" / "conf"])
    assert [job.seed for job in seen] == [5, 6]
    for job in seen:
        alone = composer.job(job.overrides)
        assert (job.tree, job.nodes, job.choices) == (alone.tree, alone.nodes, alone.choices)


def test_the_sweeper_does_not_compose_every_job_once_more(program, monkeypatch):
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    original, composed = ConfigLoaderImpl.load_configuration, []

    def counted(loader, *words, **named):
        composed.append(words)
        return original(loader, *words, **named)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    counts = []
    for seeds in ("seed=1,2", "seed=1,2,3,4,5"):
        composed.clear()
        assert program("-m", seeds) == 0
        counts.append(len(composed))
    assert counts[0] == counts[1] <= 5, "each choice of groups once, however many jobs"


def test_exit_codes():
    done, failed, refused = (Outcome(s, ("a=1",)) for s in (outcomes.DONE, outcomes.FAILED, outcomes.REFUSED))
    assert execute.summed_up([done, done], expected=2, interrupted=False) == 0
    assert execute.summed_up([done, done], expected=2, interrupted=False, closing=1) == 1
    assert execute.summed_up([done], expected=2, interrupted=False) == 1
    assert execute.summed_up([failed, refused], expected=2, interrupted=False) == 1
    assert execute.summed_up([refused, refused], expected=2, interrupted=False) == 2
    assert execute.summed_up([refused], expected=2, interrupted=False) == 1
    assert execute.summed_up([], expected=1, interrupted=False) == 1
    assert execute.summed_up([done], expected=2, interrupted=True) == 130
