"""What a process keeps of the compositions of the shipped configuration, and what is composed anew."""

from __future__ import annotations

import os

import pytest
from hydra.errors import MissingConfigException
from hydra.types import RunMode
from omegaconf import OmegaConf

from paribus.config import _compatibility as hydra_parts
from paribus.config.compose import Composer, jobs
from paribus.config.locate import conf_dir

TINY = ["experiment=family_1d_sweep", "experiment.family=SCU", "feature=threshold", "model=planted"]


@pytest.fixture
def composed(monkeypatch):
    """How many compositions Hydra has made."""
    made = []
    load = hydra_parts.ConfigLoaderImpl.load_configuration
    monkeypatch.setattr(hydra_parts, "_kept", {})
    monkeypatch.setattr(
        hydra_parts.ConfigLoaderImpl,
        "load_configuration",
        lambda self, name, words, **more: made.append(words) or load(self, name, words, **more),
    )
    return made


def test_the_same_choices_are_composed_once_and_their_jobs_are_equal(composed):
    (first,), (again,) = jobs([*TINY, "seed=1"]), jobs([*TINY, "seed=1"])
    assert len(composed) == 1 and first == again and first.tree is not again.tree
    first.tree["stats"]["n_null"] = 7
    (other,), (third,) = jobs([*TINY, "seed=2"]), jobs([*TINY, "seed=1"])
    assert len(composed) == 1 and third.tree == again.tree
    assert other.seed == other.tree["data"]["seed"] == 2
    jobs([*TINY, "stats=quick"])
    assert len(composed) == 2


def test_place_and_time_are_those_of_now(composed, tmp_path, monkeypatch):
    pattern = "${now:%H-%M-%S-%f}_${hydra:runtime.cwd}"
    words = [*TINY, f"tracking.experiment='{pattern}'"]
    names, folders = [], []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        composer = Composer()
        found = composer.hydra(TINY).hydra
        assert found.runtime.cwd == os.getcwd()
        folders.append(found.run.dir)
        names.append(composer.job(words).tree["tracking"]["experiment"])
    assert len(composed) == 1 and len(set(folders)) == 2
    for name, found in zip(("a", "b"), names, strict=True):
        assert found.endswith(str(tmp_path / name))
    assert names[0].split("_")[0] != names[1].split("_")[0]


def test_an_option_that_changes_is_read_anew(composed, tmp_path):
    (tmp_path / "config.yaml").write_text("defaults: [_self_, {kind: a}]\n")
    (tmp_path / "kind").mkdir()
    option = tmp_path / "kind" / "a.yaml"
    for value in (1, 2, 3):
        option.write_text(f"n: {value}\n")
        for _ in range(2):
            assert hydra_parts.Loader(tmp_path, []).compose([]).kind.n == value
    assert len(composed) == 3


def test_what_refers_to_something_outside_is_composed_anew(composed, tmp_path, monkeypatch):
    monkeypatch.setenv("CHOSEN", "quick")
    for words in (["hydra.job.env_copy=[CHOSEN]"], ["stats='${oc.env:CHOSEN}'"]):
        before = len(composed)
        for _ in range(2):
            hydra_parts.Loader(conf_dir(), []).compose(words, multirun=True)
        assert len(composed) == before + 2, words
    for _ in range(2):
        jobs(TINY, config_dirs=[tmp_path])
    assert len(composed) == before + 4
    assert hydra_parts._kept == {}


def test_few_are_kept(composed, monkeypatch):
    monkeypatch.setattr(hydra_parts, "MOST_KEPT", 2)
    for word in ("stats=quick", "stats=default", "training=standard"):
        hydra_parts.Loader(conf_dir(), []).compose([word], multirun=True)
    assert len(composed) == 3 and len(hydra_parts._kept) == 2


def test_options_named_by_another_choice_and_by_lists_are_those_that_hydra_finds(tmp_path):
    """What Hydra does again or for nothing is left out, and only that: names that refer to choices are resolved."""
    files = {
        "config.yaml": "defaults: [_self_, {a: x}, {b: '${a}'}, {c: [p, q]}, {optional d: '${a}'}]\nown: 1",
        **{f"{group}/{name}.yaml": f"{group}: {name}" for group in "ab" for name in "xy"},
        "b/z.yaml": "defaults: [inner: y]\nz: 1",
        "b/inner/y.yaml": "is: y",
        "c/p.yaml": "# @package _global_\np: ${own}",
        "c/q.yaml": "q: [1, '${own}']",
        "d/y.yaml": "found: true",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    loader = hydra_parts.Loader(tmp_path, [])
    seen = []
    for words in ([], ["a=y"], ["b=z", "a=y"], ["b=y", "a=y"], ["a=y"], ["a=y", "+d@e=y"]):
        made = loader.compose(words)
        theirs = loader.loader.load_configuration("config", words, run_mode=RunMode.RUN)
        assert OmegaConf.to_container(made) == OmegaConf.to_container(theirs)
        seen.append((made.b, made.get("d")))
    assert seen[0] == ({"b": "x"}, None) and seen[1] == ({"b": "y"}, {"found": True}) == seen[4]
    assert seen[2][0] == {"z": 1, "inner": {"is": "y"}}
    with pytest.raises(MissingConfigException):
        loader.compose(["a=nowhere"])
