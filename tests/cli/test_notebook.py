from __future__ import annotations

from pathlib import Path

import pytest

import paribus
from paribus.errors import ConfigError, DataError, ExperimentError

CONF = Path(__file__).parent / "fakes" / "conf"
FAKE = ["experiment=fake", "tracking=off"]


def test_the_same_request_from_python(program):
    result = paribus.run([*FAKE, "seed=4"], config_dir=CONF)
    assert isinstance(result, paribus.Result) and result.run_id == "run4"
    assert [line.split()[0] for line in program.log()] == ["start", "end"]


@pytest.mark.parametrize(
    ("words", "error", "part"),
    [
        (["experiment.dou=1"], ConfigError, "experiment.dou: unknown key; did you mean 'do'"),
        (["seed=1,2"], ConfigError, "asks for several jobs"),
        (["dry_run=true"], ConfigError, "nothing is run"),
        (["experiment.do=invalid"], DataError, "no such folder"),
        (["experiment.do=experiment_error"], ExperimentError, "not finite"),
    ],
)
def test_what_is_wrong_is_raised(program, words, error, part):
    with pytest.raises(error, match=part):
        paribus.run([*FAKE, *words], config_dir=CONF)
    assert program.left_behind() == []


def test_one_text_instead_of_a_list_is_refused(program):
    with pytest.raises(ConfigError, match="wants a list of words"):
        paribus.run("experiment=fake")
