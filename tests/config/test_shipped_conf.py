"""Every option that is shipped: its class exists, its keys are the class's fields, it composes and is accepted."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from paribus.config import catalogue
from paribus.config.compose import Composer, jobs
from paribus.config.job import GROUPS
from paribus.errors import ConfigError
from paribus.spec import Spec

OPTIONS = [option for group in catalogue.groups() for option in catalogue.options(group)]
CONFIGURED = [option for option in OPTIONS if option.target is not None]
INSIDE = {"factor": "experiment=sweep"}
"""Groups that stand inside an experiment, with one that has them."""
IDS = [f"{option.group}={option.name}" for option in CONFIGURED]


@pytest.fixture(scope="module")
def composer():
    return Composer()


def test_every_group_has_options_and_a_place():
    assert {option.group for option in OPTIONS} <= {*GROUPS, "study", *INSIDE}
    assert {"data", "model", "training", "device", "stats", "tracking", "experiment"} <= {o.group for o in OPTIONS}


@pytest.mark.parametrize("option", CONFIGURED, ids=IDS)
def test_the_yaml_lists_every_key_of_its_class(option):
    cls = option.load()
    assert isinstance(cls, type) and issubclass(cls, Spec)
    content = yaml.safe_load(option.file.read_text(encoding="utf-8"))
    nested = {
        str(entry).split("@")[1].split("'")[0]
        for entry in content.get("defaults", [])
        if "experiment@" in str(entry) or "factor@" in str(entry)
    }
    keys = set(content) - {"_target_", "defaults"} | nested
    assert keys == {field.name for field in dataclasses.fields(cls)}
    for field in dataclasses.fields(cls):
        assert field.metadata.get("help"), f"{cls.__name__}.{field.name} says nothing of itself"


@pytest.mark.parametrize("option", CONFIGURED, ids=IDS)
def test_every_option_composes_and_is_accepted(option, composer):
    if option.group in INSIDE:
        place = f"experiment.{option.group}"
        content = yaml.safe_load(option.file.read_text(encoding="utf-8"))
        needed = [f"{place}.{key}=[x]" if key == "columns" else f"{place}.{key}=x"
                  for key, value in content.items() if value == "???"]  # fmt: skip
        words = [INSIDE[option.group], f"{option.group}@{place}={option.name}", *needed]
        assert isinstance(getattr(composer.job(words).experiment, option.group), option.load())
        return
    words = [f"{option.group}={option.name}"]
    if option.group != "experiment":
        words.append("experiment=train_classifier")
    try:
        job = composer.job(words)
    except ConfigError as error:  # a required value must be given by the user, and nothing else may be wrong
        message = str(error)
        assert "a value is needed" in message or " needs one; say " in message
        assert message.startswith((option.group, "feature: ", "data: ", "model: "))
        place = message.partition(":")[0].removeprefix(f"{option.group}.").split(".")[0]
        assert place in {*GROUPS} - {option.group} | {*(field.name for field in dataclasses.fields(option.load()))}, (
            message
        )
        return
    assert isinstance(job.nodes[option.group], option.load())


ARM_OF = {f"modular_addition_{arm}": "modular_addition" for arm in ("no_decay", "pizza")}
"""Studies that are an arm of another one: their runs stand beside its own, to be compared."""


@pytest.mark.parametrize("study", [option.name for option in OPTIONS if option.group == "study"])
def test_every_study_composes(study, composer):
    try:
        job = composer.job([f"study={study}"])
    except ConfigError as error:
        assert "a value is needed" in str(error)
        return
    assert job.study == study
    assert job.nodes["tracking"].experiment == ARM_OF.get(study, study)
    assert job.experiment.steps


@pytest.mark.parametrize("option", [o for o in CONFIGURED if o.group == "experiment"], ids=lambda o: o.name)
def test_experiment_types_say_what_they_are(option):
    cls = option.load()
    assert cls.type == option.name
    assert str(cls.evidence) and cls.subject and cls.summary.strip()
    assert "\n" not in cls.summary


def test_the_sweep_that_make_run_asks_for():
    found = jobs(["study=shortcut_digits", "training=standard,grokking", "seed=range(3)"], multirun=True)
    assert len(found) == 6
    assert {job.nodes["training"].condition for job in found} == {"standard", "grokking"}
    assert [job.nodes["data"].seed for job in found] == [0, 1, 2, 0, 1, 2]
    assert list(found[0].experiment.steps) == ["train", "probe", "ablation", "steering", "neurons", "swap"]
    assert found[0].experiment.comparison.type == "compare_interventions"


@pytest.mark.parametrize("option", [o for o in CONFIGURED if o.group == "experiment"], ids=lambda o: o.name)
def test_an_experiment_on_builds_chooses_builds(option, composer):
    if option.load().subject != "builds":
        pytest.skip("not about builds")
    choices = composer._base([f"experiment={option.name}"])[0].choices
    own = choices["model"] == "tracked"  # which brings the corpus it was trained on
    assert choices["data"] == "as_trained" if own else choices["data"].startswith("builds")
    assert all(choices[group] for group in ("slice", "constraints") if group in option.load().needs)


NAMED = {
    "data": "builds_tokenized", "model": "splatgpt", "feature": "latent", "slice": "sample", "constraints": "lenient",
    "training": "grokking", "device": "cpu", "stats": "quick", "tracking": "off",
}  # fmt: skip
VALUES = ("data.path=F", "model.path=F", "feature.id=3", "slice.sample_size=9", "training.epochs=2", "stats.n_null=9")


def chosen(composer, *words):
    return dict(composer._base(words)[0].choices)


@pytest.mark.parametrize(
    "words",
    [["experiment=split_half"], ["experiment=train_sae"], ["study=shortcut_digits"]],
    ids=lambda words: words[0],
)
def test_options_that_choose_data_or_a_model_leave_what_the_line_names(words, composer):
    """Values never change a choice, and neither an experiment nor a study beats a choice on the line."""
    alone = chosen(composer, *words)
    assert chosen(composer, *words, *VALUES) == alone
    named = chosen(composer, *words, *(f"{group}={name}" for group, name in NAMED.items()))
    assert named == alone | NAMED
