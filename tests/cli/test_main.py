from __future__ import annotations

import gc
import json
import subprocess
import sys

import pytest

import paribus
from paribus.cli import verb
from paribus.cli.main import main

HEAVY = ("torch", "mlflow", "pandas", "sklearn", "scipy", "statsmodels", "matplotlib", "pyarrow")


def imported(*words: str, heavy: tuple[str, ...] = HEAVY, cwd=None) -> tuple[int, list[str], float]:
    """Return the exit code of a command line, the heavy modules it imported, and its seconds of CPU."""
    code = (
        "import json, sys, time\n"
        "from paribus.cli.main import main\n"
        "code = main(json.loads(sys.argv[1]))\n"
        "print(json.dumps([code, [m for m in json.loads(sys.argv[2]) if m in sys.modules], time.process_time()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(words), json.dumps(heavy)], capture_output=True, text=True, cwd=cwd
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return found[0], found[1], found[2]


@pytest.mark.parametrize("words", [["--help"], ["--version"], [], ["runs", "--help"], ["frob"]])
def test_help_and_version_do_not_even_import_hydra(words, tmp_path):
    code, heavy, seconds = imported(*words, heavy=(*HEAVY, "hydra", "omegaconf", "numpy"), cwd=tmp_path)
    assert code == (2 if words == ["frob"] else 0)
    assert heavy == []
    assert seconds < 0.5


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["list"], 0),
        (["list", "experiment"], 0),
        (["list", "model"], 0),
        (["list", "train_classifier"], 0),
        (["experiment=nope"], 2),
        (["experiment=train_classifier", "training.lr=-1"], 2),
        (["experiment=train_classifier", "+training.foo=1"], 2),
        (["-m", "study=shortcut_digits", "seed=range(3)", "training.lr=x"], 2),
        (["runs"], 0),
        (["show", "abcd"], 2),
        (["status"], 2),
    ],
)
def test_looking_around_and_wrong_requests_import_nothing_heavy(words, expected, tmp_path):
    code, heavy, seconds = imported(*words, cwd=tmp_path)
    assert (code, heavy) == (expected, [])
    assert seconds < 2.0  # half a second on an idle machine
    assert list(tmp_path.iterdir()) == []


def test_importing_paribus_imports_nothing_else():
    code = "import sys, paribus; print([m for m in ('numpy', 'hydra', 'torch', 'yaml') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_help_names_every_verb(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in verb.names():
        assert f"  {name}" in text and verb.find(name).SUMMARY in text
    assert main([]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("name", verb.names())
def test_every_verb_has_help_of_its_own(capsys, name):
    assert main([name, "--help"]) == 0
    assert f"paribus {name}" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"paribus {paribus.__version__}\n"


def test_an_unknown_verb_names_the_nearest(capsys):
    assert main(["lst"]) == 2
    assert "did you mean 'list'" in capsys.readouterr().err


WRONG = ["experiment=train_classifier", "nope=1"]


def test_python_dash_m(tmp_path):
    done = subprocess.run([sys.executable, "-m", "paribus", *WRONG], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("paribus: nope: unknown key") and done.stdout == ""


def test_modules_of_the_working_folder_can_be_targets(program, capfd):
    (program.folder / "own_of_main.py").write_text(
        "from fake_experiment import Fake\nfrom dataclasses import dataclass\n\n"
        "@dataclass(frozen=True)\nclass Mine(Fake):\n    type = 'mine'\n"
    )
    (program.folder / "my_conf" / "experiment").mkdir(parents=True)
    (program.folder / "my_conf" / "experiment" / "mine.yaml").write_text("_target_: own_of_main.Mine\n")
    assert program("experiment=mine", "tracking=off", "--config-dir", "my_conf", fake=False) == 0
    assert program.log()[-1] == "end 0"
    assert program("list", "--config-dir", "my_conf", fake=False) in (0, 2)  # 2 while another type cannot be loaded
    assert "Does what it is told." in program.out


def test_a_process_of_ours_searches_for_garbage_rarely_and_a_call_changes_nothing(monkeypatch, capsys):
    before = gc.get_threshold()
    assert main(["--version"]) == 0 and gc.get_threshold() == before
    monkeypatch.setattr(sys, "argv", ["paribus", "--version"])
    try:
        assert main() == 0 and gc.get_threshold() == (20_000, *before[1:])
        gc.set_threshold(0)
        assert main() == 0 and gc.get_threshold()[0] == 0, "who has turned it off"
    finally:
        gc.set_threshold(*before)
