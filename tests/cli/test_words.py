from __future__ import annotations

import pytest

from paribus.cli.words import read
from paribus.errors import ConfigError


def test_flags_may_stand_anywhere():
    found = read(["a=1", "-m", "b=2", "--config-dir", "here", "c=3"])
    assert found.overrides == ("a=1", "b=2", "c=3")
    assert found.multirun and found.config_dirs == ("here",)
    assert read(["a=1"]).config_dirs == ()


def test_hydras_mode_counts_as_the_flag():
    assert read(["a=1", "hydra.mode=MULTIRUN"]).multirun
    assert not read(["a=1", "hydra.mode=RUN"]).multirun


def test_flags_that_show_are_passed_on():
    assert read(["--cfg", "job", "a=1"]).passed_on == ("--cfg", "job", "a=1")
    assert read(["a=1"]).passed_on == ()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["a=1", "--foo"], "--foo: there is no such flag"),
        (["a=1", "--multirn"], "did you mean '--multirun'"),
        (["a=1", "--config-name=x"], "--config-name: is not used here"),
        (["a=1", "--config-path", "x"], "--config-path: is not used here"),
        (["a=1", "--experimental-rerun", "x.pickle"], "--experimental-rerun: is not used here"),
        (["a=1", "--config-dir"], "expected one argument"),
        (["a=1", "runs"], "runs: wants KEY=VALUE"),
        (["--cfg", "nope"], "nope"),
    ],
)
def test_what_cannot_be_read_is_refused(words, part):
    with pytest.raises(ConfigError) as caught:
        read(words)
    assert part in str(caught.value)
