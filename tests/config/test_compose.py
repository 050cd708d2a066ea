from __future__ import annotations

import time
from pathlib import Path

import pytest

from paribus.config.compose import Composer, jobs
from paribus.config.job import GROUPS
from paribus.errors import ConfigError


def refusal(*words, multirun=False, config_dirs=()):
    with pytest.raises(ConfigError) as caught:
        jobs(words, multirun=multirun, config_dirs=config_dirs)
    message = str(caught.value)
    assert "\n" not in message
    return message


def hydras_own(conf, words):
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(conf), version_base="1.3"):
        return OmegaConf.to_container(compose("config", list(words)), resolve=True)


def test_a_job_holds_choices_tree_and_built_nodes(toy):
    import toy_specs

    (job,) = jobs(["experiment=steer", "seed=3", "model.width=8", "checkpoint=epoch:12", "reuse=never"])
    assert (job.seed, job.checkpoint, job.reuse, job.dry_run) == (3, "epoch:12", "never", False)
    assert set(job.nodes) == set(GROUPS)
    assert job.nodes["model"] == toy_specs.Net(width=8)
    assert job.nodes["data"].seed == 3  # interpolated from the top
    assert job.nodes["feature"] is None
    assert job.experiment == toy_specs.Steer()
    assert job.choices["experiment"] == "steer"
    assert job.choices["study"] is None and job.study is None
    assert job.tree["model"]["_target_"] == "toy_specs.Net"
    assert job.overrides == ("experiment=steer", "seed=3", "model.width=8", "checkpoint=epoch:12", "reuse=never")


@pytest.mark.parametrize(
    "words",
    [
        ["study=toy", "training=standard,grokking", "seed=range(3)", "model.width=4,8"],
        ["experiment=sweep", "experiment.family=a,b", "model=net,wide", "+model.extras.x=1"],
        ["experiment=halves", "experiment@experiment.target=steer", "experiment.target.alphas=[1],[2,3]"],
        ["experiment=steer", "model=glob(*)", "data=digits,other", "data.strength=range(0,1,0.5)"],
    ],
)
def test_jobs_equal_those_that_hydra_composes_itself(toy, words):
    found = jobs(words, multirun=True)
    assert len(found) >= 2
    for job in found:
        assert job.tree == hydras_own(toy, job.overrides)


def test_the_last_choice_varies_fastest_as_in_hydras_basic_sweeper(toy):
    found = jobs(["experiment=steer", "seed=range(2)", "model=net,wide"], multirun=True)
    assert [(job.seed, job.choices["model"]) for job in found] == [(0, "net"), (0, "wide"), (1, "net"), (1, "wide")]


def test_expansion_equals_hydras_basic_sweeper(toy):
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words = ["experiment=steer", "seed=1,2", "model.width=range(2,9,3)", "experiment.alphas=[1,2],[3]", "seed=5,6"]
    theirs = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(words), None)[0]
    assert [list(job) for job in Composer().expand(words)] == theirs


@pytest.mark.parametrize(
    "words",
    [
        ["model=range(1e9)"],
        ["seed=range(0,1e18)"],
        ["model.width=range(0,1,1e-12)"],
        ["seed=shuffle(range(0,1000000000000))"],
        ["seed=range(100,-1e12,-1)"],
        ["seed=range(1000)", "model.width=range(1000)"],
    ],
    ids=str,
)
def test_a_sweep_of_endless_jobs_is_refused_before_they_are_counted_out(toy, words):
    with pytest.raises(ConfigError, match="at most"):
        Composer().expand(["experiment=steer", *words])
    assert len(Composer().expand(["experiment=steer", "seed=range(5,-1,-2)", "model.width=range(0,1,0.25)"])) == 12


def test_each_distinct_choice_of_groups_is_composed_once(toy, monkeypatch):
    composer = Composer()
    composed = []
    original = composer._loader.compose
    monkeypatch.setattr(
        composer._loader, "compose", lambda words, **kw: composed.append(words) or original(words, **kw)
    )
    for seed in range(5):
        for model in ("net", "wide"):
            composer.job(["experiment=steer", f"model={model}", f"seed={seed}"])
    assert len(composed) == 2


def test_jobs_do_not_share_what_overrides_change(toy):
    composer = Composer()
    first = composer.job(["experiment=steer", "experiment.alphas=[9]", "+model.extras.a=1"])
    second = composer.job(["experiment=steer"])
    assert second.experiment.alphas == [-1.0, 1.0]
    assert second.nodes["model"].extras == {}
    assert first.nodes["model"].extras == {"a": 1.0}


def test_a_thousand_jobs_take_seconds(toy):
    jobs(["experiment=steer"])
    start = time.process_time()
    assert len(jobs(["experiment=steer", "seed=range(50)", "model.width=range(1,21)"], multirun=True)) == 1000
    assert time.process_time() - start < 10  # one by one through Hydra: two minutes


def test_an_experiment_chooses_its_data_and_the_command_line_beats_it(toy):
    assert jobs(["experiment=sweep", "experiment.family=f"])[0].choices["data"] == "other"
    assert jobs(["experiment=sweep", "experiment.family=f", "data=digits"])[0].choices["data"] == "digits"


def test_a_study_beats_options_and_the_command_line_beats_a_study(toy):
    (job,) = jobs(["study=toy"])
    assert job.study == "toy"
    assert job.choices["data"] == "other"
    assert job.nodes["data"].strength == 0.5  # the option says 0.1
    assert job.nodes["tracking"].experiment == "toy"
    assert list(job.experiment.steps) == ["first", "second"]
    assert job.experiment.steps["second"].alphas == [0.0]
    (job,) = jobs(["study=toy", "data=digits", "data.strength=0.7", "experiment.steps.second.alphas=[4]"])
    assert (job.choices["data"], job.nodes["data"].strength) == ("digits", 0.7)
    assert job.experiment.steps["second"].alphas == [4.0]
    assert jobs(["study=values", "experiment=steer", "training=grokking"])[0].nodes["training"].epochs == 3


def test_a_study_refuses_another_experiment_in_any_order(toy):
    for words in (["study=toy", "experiment=steer"], ["experiment=steer", "study=toy"]):
        message = refusal(*words)
        assert "study=toy runs experiment=steps" in message and "experiment=steer" in message
    assert jobs(["study=toy", "experiment=steps"])[0].choices["experiment"] == "steps"


def test_a_nested_experiment_is_chosen_and_checked(toy):
    (job,) = jobs(["experiment=halves", "experiment@experiment.target=sweep", "experiment.target.family=x"])
    assert job.experiment.target.family == "x"
    assert refusal("experiment=halves", "experiment@experiment.target=sweep").startswith("experiment.target.family: ")
    assert refusal("experiment=halves", "experiment.target.alphas=[a]").startswith("experiment.target.alphas[0]: ")
    assert refusal("study=toy", "+experiment.steps.first.foo=1").startswith("experiment.steps.first.foo: unknown key")
    assert refusal("study=toy", "experiment.steps.first.low=7").startswith("experiment.steps.first.low: ")


WRONG = {
    "experiment=nope": ["experiment=nope: no such option", "steer"],
    "nope=1": ["nope: unknown key", "seed", "experiment"],
    "model.wdth=1": ["model.wdth: unknown key", "did you mean 'width'"],
    "+foo=1": ["foo: unknown key"],
    "++foo=1": ["foo: unknown key"],
    "+model.foo=1": ["model.foo: unknown key", "width"],
    "++model.foo=1": ["model.foo: unknown key"],
    "+experiment.alpha=[1]": ["experiment.alpha: unknown key", "did you mean 'alphas'"],
    "model.width=-1": ["model.width: must be at least 1, got -1"],
    "model.width=a": ["model.width: wants a whole number, got 'a'"],
    "model.width=1.5": ["model.width: wants a whole number, got 1.5"],
    "model.width=inf": ["model.width: wants a whole number"],
    "model.width=nan": ["model.width: wants a whole number"],
    "model.width=true": ["model.width: wants a whole number, got True"],
    "model.width=null": ["model.width: wants a whole number, got null"],
    "model.width=[1]": ["model.width: wants a whole number"],
    "data.strength=nan": ["data.strength: must be a number, got nan"],
    "data.strength=2": ["data.strength: must be at most 1, got 2"],
    "data.strength=true": ["data.strength: wants a number"],
    "data.names=x": ["data.names: wants a list"],
    "data.names=[[1]]": ["data.names[0]: wants a name"],
    "data.root=1.5": ["data.root: wants a name"],
    "model.activation=rel": ["model.activation: no such choice 'rel'", "did you mean 'relu'"],
    "model.scale=x": ["model.scale: wants one of float, int"],
    "+model.extras.a=b": ["model.extras.a: wants a number"],
    "model.extras=3": ["model.extras: wants a mapping"],
    "model.extras={a: 2}": ["+model.extras.a="],
    "stats=5": ["stats=5: ", "valid: default"],
    "model=null": ["model=null: ", "valid: net, wide"],
    "model=[net,wide]": ["one option"],
    "~model": ["~model: nothing can be taken out"],
    "~model.width": ["~model.width: nothing can be taken out"],
    "seed=1,2": ["seed=1,2: ", "-m"],
    "seed=range(3)": ["seed=range(3): ", "-m"],
    "seed=-1": ["seed: must be at least 0"],
    "seed=''": ["seed: wants a whole number, got ''"],
    "seed=[": ["seed=[: cannot be read"],
    "seed": ["seed: cannot be read"],
    "=3": ["=3: there is no key"],
    "a/b=1": ["a/b: "],
    "model@x=net": ["model@x: "],
    "+model=wide": ["leave out the +"],
    "+experiment@foo=steer": ["foo: unknown key"],
    "model.width.x=1": ["model.width.x"],
    "model={a: 1}": ["model.a: unknown key"],
    "seed=${nope}": ["seed: Interpolation key 'nope' not found"],
    "seed=${oc.env:NOPE_NOT_SET}": ["seed: ", "NOPE_NOT_SET"],
    "checkpoint=epoch": ["checkpoint: no such choice 'epoch'", "did you mean 'epoch:N'"],
    "checkpoint=epoch:-1": ["checkpoint: no such choice"],
    "reuse=sometimes": ["reuse: no such choice"],
    "dry_run=maybe": ["dry_run: wants true or false"],
    "experiment.low=5": ["experiment.low: must not exceed high=1"],
    "experiment.alphas=3": ["experiment.alphas: wants a list"],
    "experiment.sites=[1.5]": ["experiment.sites[0]: wants a name"],
    "model._target_=os.path.joi": ["model._target_: os.path has no 'joi'", "did you mean 'join'"],
    "model._target_=nope.x": ["model._target_: there is no module 'nope'"],
    "model._target_=5": ["model._target_: wants a dotted name"],
    "model._target_=toy_specs.NOT_CALLABLE": ["is no class or function"],
    "model._target_=toy_specs.make_net": ["takes no such argument", "width"],
    "+model._partial_=true": ["model._partial_: is not supported"],
    "stats._target_=paribus.engine.device.DeviceSpec": ["stats."],
    "experiment._target_=toy_specs.Net": ["experiment."],
    "hydra.foo=1": ["hydra.foo: unknown key"],
    "hydra/launcher=nope": ["hydra/launcher=nope: no such option", "basic"],
    "hydra.searchpath=[nope]": ["hydra.searchpath", "nope"],
    "study=nope": ["study=nope: no such option", "toy"],
}


@pytest.mark.parametrize("word", WRONG)
def test_wrong_requests_are_refused_with_place_and_valid_names(toy, word):
    message = refusal("experiment=steer", word)
    for part in WRONG[word]:
        assert part in message
    assert len(message) < 500
    assert list(Path.cwd().iterdir()) == []


def test_no_experiment_names_those_there_are(toy):
    message = refusal("seed=1")
    assert message.startswith("experiment: nothing is chosen")
    assert "halves, steer, steps, sweep" in message


def test_a_required_value_that_is_missing_is_named(toy):
    assert refusal("experiment=sweep") == "experiment.family: a value is needed (experiment.family=...)"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["seed=range(0)"], ["over nothing"]),
        (["seed=interval(0,1)"], ["interval"]),
        (["seed=range(a)"], ["seed=range(a): cannot be read"]),
        (["seed=1,-2"], ["seed: must be at least 0, got -2", "job 2 of 2", "seed=-2"]),
        (["model=net,nope"], ["model=nope: no such option", "job 2 of 2"]),
        (["hydra.verbose=true,false"], ["cannot be swept over"]),
        (["hydra/sweeper=nope"], ["hydra/sweeper=nope"]),
        (["model=net,wide", "+model.foo=1"], ["model.foo: unknown key", "job 1 of 2"]),
        (["training=standard,grokking", "study=values,nope"], ["study=nope", "job 2 of 4"]),
        (["study=toy,values"], ["cannot be joined", "job 1 of 2"]),
    ],
)
def test_every_job_of_a_sweep_is_checked_before_any_is_returned(toy, words, parts):
    message = refusal("experiment=steer", *words, multirun=True)
    for part in parts:
        assert part in message


def test_user_options_from_a_config_dir_or_a_search_path(toy, tmp_path):
    mine = tmp_path / "my conf"
    (mine / "model").mkdir(parents=True)
    (mine / "model" / "mine.yaml").write_text("_target_: toy_specs.make_net\nwidth: 3\nbias: false\n")
    (mine / "model" / "net.yaml").write_text("_target_: toy_specs.Net\nwidth: 999\n")
    (job,) = jobs(["experiment=steer", "model=mine"], config_dirs=[mine])
    assert job.nodes["model"].call(in_channels=1, n_classes=2) == (3, 1, False)
    assert jobs(["experiment=steer"], config_dirs=[mine])[0].nodes["model"].width == 16  # shipped options come first
    (job,) = jobs(["experiment=steer", "model=mine", f"hydra.searchpath=['file://{mine}']"])
    assert job.nodes["model"].arguments == {"width": 3, "bias": False}
    assert "mine" in refusal("experiment=steer", "model=nope", config_dirs=[mine])
    assert "no such folder" in refusal("experiment=steer", config_dirs=[tmp_path / "nope"])


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("_target_: toy_specs.Net\nwidth: [1\n", "is no valid YAML"),
        ("_target_: toy_specs.Net\nwdth: 1\n", "model.wdth: unknown key"),
        ("width: 1\n", "has no _target_"),
        ("just text\n", "has no _target_"),
        ("defaults:\n  - nope\n_target_: toy_specs.Net\n", "nope"),
        ("_target_: toy_specs.Net\nwidth: ${missing.key}\n", "missing"),
        ("_target_: toy_specs.broken.Net\n", "_target_"),
    ],
)
def test_a_broken_user_option_is_refused(toy, tmp_path, text, part):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(text)
    assert part in refusal("experiment=steer", "model=mine", config_dirs=[tmp_path])


def test_a_target_whose_import_fails_says_why(toy, tmp_path, monkeypatch):
    (tmp_path / "sick_module.py").write_text("raise RuntimeError('out of order')")
    (tmp_path / "needy_module.py").write_text("import a_module_that_is_not_there")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "RuntimeError: out of order" in refusal("experiment=steer", "model._target_=sick_module.build")
    assert "needs 'a_module_that_is_not_there'" in refusal("experiment=steer", "model._target_=needy_module.build")


def test_sweep_parameters_of_a_study_are_part_of_the_sweep(toy, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "mine.yaml").write_text(
        "# @package _global_\nhydra:\n  sweeper:\n    params:\n      seed: range(3)\n"
    )
    found = jobs(["experiment=steer", "study=mine"], multirun=True, config_dirs=[tmp_path])
    assert [job.seed for job in found] == [0, 1, 2]


def test_one_group_can_be_built_without_an_experiment(toy):
    assert Composer().node("tracking", ["tracking.experiment=mine"]).experiment == "mine"
    with pytest.raises(ConfigError, match="tracking.kind"):
        Composer().node("tracking", ["tracking.kind=nope"])


def test_hydras_own_interpolations_resolve(toy):
    (job,) = jobs(["experiment=steer", "data.root=${hydra:runtime.cwd}/here"])
    assert job.nodes["data"].root == f"{Path.cwd()}/here"


def test_composing_leaves_hydras_global_state_alone(toy):
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    before = HydraConfig.instance().cfg
    jobs(["experiment=steer"])
    assert not GlobalHydra.instance().is_initialized()
    assert HydraConfig.instance().cfg is before
