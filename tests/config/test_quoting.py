"""Lists that people write and Hydra does not read."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.config.quoting import quoted, readable

LINES = [
    ("experiment.where=[n_train=300]", ["n_train=300"]),
    ("'experiment.where=[n_train=300,seed=0..7,training=standard|grokking,started>=2026-11-20]'",
     ["n_train=300", "seed=0..7", "training=standard|grokking", "started>=2026-11-20"]),
    ("experiment.where=[tag.sweep=20261125-101500-ab12cd,seed!=3]", ["tag.sweep=20261125-101500-ab12cd", "seed!=3"]),
    ('"experiment.where=[ seed = 1 , n_train=300 ]"', ["seed = 1", "n_train=300"]),
    ("experiment.where=[experiment.site=layer2]", ["experiment.site=layer2"]),
    ("\"experiment.where=['n_train=300','seed=0..7']\"", ["n_train=300", "seed=0..7"]),
    ("'experiment.where=[\"a=b,c\",d=1]'", ["a=b,c", "d=1"]),
    ("experiment.where=[]", []),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_a_real_shell_and_hydra_pass_a_restriction_without_inner_quotes(line, expected):
    shell = subprocess.run(
        ["bash", "-c", f'{shlex.quote(sys.executable)} -Sc "import sys; print(sys.argv[1], end=str())" {line}'],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    word = quoted(shell.stdout)
    assert OverridesParser.create().parse_overrides([word])[0].value() == expected
    assert quoted(word) == word


PLAIN = [
    "a=1",
    "a=[1,2]",
    "a=[[1,2],[3]]",
    "a={b:[1,2]}",
    "a=[${x.y},b]",
    "seed=range(3)",
    "a=b,c",
    "a='[x=1]'",
    "~a",
    "a=",
]


@pytest.mark.parametrize("word", PLAIN)
def test_words_that_hydra_reads_stay_as_they_are(word):
    assert quoted(word) == word


@given(st.lists(st.text("abz019.|=<>!'\"\\ _-", min_size=1).filter(lambda t: t.strip() == t), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_element_comes_through_hydra_as_it_was(elements):
    plain = [
        each for each in elements if set(each) & set("=<>!") and each[0] not in "'\"" and not set(each) & set("'\"\\")
    ]
    if plain:
        word = quoted(f"w=[{','.join(plain)}]")
        assert OverridesParser.create().parse_overrides([word])[0].value() == plain


def test_a_cuda_device_by_its_number_is_an_option_and_a_value():
    assert readable(["device=cuda:1", "seed=1"]) == ["device=cuda", "device.name=cuda:1", "seed=1"]
    assert readable(readable(["device=cuda:1"])) == ["device=cuda", "device.name=cuda:1"]
    assert readable(["device=cuda", "device.name=cuda:0"]) == ["device=cuda", "device.name=cuda:0"]


def test_a_cuda_device_by_its_number_reaches_the_job():
    from paribus.config.compose import jobs

    (job,) = jobs(["experiment=domain_swap", "device=cuda:3"])
    assert job.nodes["device"].name == "cuda:3"
