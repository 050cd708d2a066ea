"""What is composed once for each choice of groups is what Hydra composes anew for every job."""

from __future__ import annotations

import copy
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext
from omegaconf import OmegaConf, open_dict

from paribus.config import _compatibility, catalogue
from paribus.config._compatibility import Loader
from paribus.config.locate import conf_dir
from paribus.sweep.batch import Batch
from paribus.sweep.loader import JOB, NUMBER, NumberedLoader, SweepLoader, own_folder, run_one
from paribus.sweep.processors import VISIBLE
from paribus.sweep.sweeper import _gpus

SKIPPED = {"study", "experiment"}
PLAIN = ["experiment=family_1d_sweep", "experiment.family=SCU", "feature=threshold", "model=planted"]
SWEEPS = [
    PLAIN,
    [*PLAIN, "++data.extra=1", "+tracking.tags.who='a, b'", "experiment.stable_tokens=[a,b]"],
    ["study=shortcut_digits", "training=grokking", "seed=2", "experiment.steps.steering.alphas=[-1,0,1]"],
]


@pytest.fixture(autouse=True)
def hydra_as_it_was():
    """Leave no configuration of Hydra's behind, which a later test of the same process would see."""
    before = HydraConfig.instance().cfg
    yield
    HydraConfig.instance().cfg = before


@pytest.fixture(scope="module")
def loaders():
    given = Loader(conf_dir(), []).loader
    return given, SweepLoader(given)


def master(given, words=("+hydra.job.env_set.X=y",)):
    config = given.load_configuration("config", [*words, "seed=1,2"], run_mode=_multirun())
    HydraConfig.instance().set_config(config)
    return config


def _multirun():
    from hydra.types import RunMode

    return RunMode.MULTIRUN


def same(loaders, words, hydra=("+hydra.job.env_set.X=y",)):
    given, fast = loaders
    config = master(given, hydra)
    slow, quick = given.load_sweep_config(config, list(words)), fast.load_sweep_config(config, list(words))
    assert OmegaConf.to_container(quick, resolve=False) == OmegaConf.to_container(slow, resolve=False)
    return quick


@pytest.mark.parametrize("words", SWEEPS, ids=lambda words: words[0])
def test_equal_to_hydra(loaders, words):
    same(loaders, words)
    same(loaders, words)  # from what was composed before


@pytest.mark.parametrize("libyaml", [True, False])
def test_a_job_is_run_as_hydra_runs_it(loaders, tmp_path, monkeypatch, libyaml):
    """The task gets the same, sees the same of Hydra, and the same three files lie beside it."""
    given, fast = loaders
    words = [*PLAIN, "seed=3", "+tracking.tags.who='é: 1e5, \"yes\"'"]
    monkeypatch.setattr(yaml, "__with_libyaml__", libyaml)
    _compatibility._dumper.cache_clear()
    seen = []

    def task(config):
        hydra = HydraConfig.get()
        kept = OmegaConf.to_container(HydraConfig.instance().cfg, resolve=False)
        seen.append((config, "hydra" in config, kept, hydra.job.num, OmegaConf.is_readonly(hydra)))

    left = []
    for quick in (_compatibility.quick_jobs, lambda copied: nullcontext()):
        monkeypatch.setattr(_compatibility, "quick_jobs", quick)
        config = master(given, (f"hydra.sweep.dir={tmp_path}/sweep",))
        context = HydraContext(config_loader=fast, callbacks=Callbacks(config))
        folder = run_one(context, config, task, 4, words)
        left.append({path.name: path.read_text() for path in (folder / ".hydra").iterdir()})
        shutil.rmtree(folder)
    assert seen[0] == seen[1] and seen[0][1] is False and seen[0][3:] == (4, True)
    assert left[0] == left[1] and set(left[0]) == {"config.yaml", "hydra.yaml", "overrides.yaml"}
    _compatibility._dumper.cache_clear()


def test_equal_to_hydra_with_its_own_settings(loaders):
    hydra = ("hydra/launcher=joblib", "hydra.sweep.subdir=${hydra.job.override_dirname}")
    same(loaders, [*PLAIN, "seed=3", "stats=quick"], hydra=hydra)


def test_equal_to_hydra_for_every_option_of_every_group(loaders):
    for group in catalogue.groups():
        if group in SKIPPED or "/" in group:
            continue
        option = catalogue.options(group)[-1].name
        try:
            same(loaders, [*(word for word in PLAIN if not word.startswith(f"{group}=")), f"{group}={option}"])
        except AssertionError:
            raise
        except Exception as error:  # a group that this experiment has no place for, refused by Hydra itself
            assert "hydra" in type(error).__module__, error


def test_a_copy_is_not_the_base(loaders):
    first = same(loaders, [*PLAIN, "seed=1"])
    with open_dict(first):
        first.seed = 99
    assert same(loaders, [*PLAIN, "seed=1"]).seed == 1


def test_no_folder_is_used_twice(tmp_path, loaders):
    config = same(loaders, PLAIN)
    config.hydra.sweep.dir = str(tmp_path)
    with open_dict(config):
        config.hydra.sweep.subdir = "all in one"
    found = [own_folder(copy.deepcopy(config)) for _ in range(3)]
    assert [path.name for path in found] == ["all in one", "all in one.2", "all in one.3"]
    assert all(path.is_dir() for path in found) and all(path.parent == Path(tmp_path) for path in found)


def test_launchers_of_others_are_told_the_number_and_a_folder_of_its_own(loaders, workdir):
    config = master(loaders[0], ("hydra.sweep.dir=out",))
    numbered = NumberedLoader(loaders[0])
    made = [numbered.load_sweep_config(config, [*PLAIN, f"{NUMBER}7"]) for _ in range(2)]
    assert [each.hydra.sweep.subdir for each in made] == ["7", "7.2"] and Path("out/7.2").is_dir()
    assert made[0].hydra.job.env_set[JOB] == "7" and list(made[0].hydra.overrides.task) == PLAIN


def test_jobs_of_launchers_of_others_see_one_gpu_each(loaders, workdir, monkeypatch):
    """Else all of them take the first; what the request sets for its jobs goes before."""
    monkeypatch.setenv(VISIBLE, "4,7")
    gpus = _gpus(Batch((), (), places=("4", "7")))
    own = ([], "4"), ([], "7"), ([f"+hydra.job.env_set.{VISIBLE}=9"], "9")
    for number, (words, seen) in enumerate(own):
        config = master(loaders[0], ("hydra.sweep.dir=out", *words))
        made = NumberedLoader(loaders[0], gpus).load_sweep_config(config, [*PLAIN, f"{NUMBER}{number}"])
        assert str(made.hydra.job.env_set[VISIBLE]) == seen and made.hydra.job.env_set[JOB] == str(number)
