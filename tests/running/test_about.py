"""What a request is about: what the experiment says, else what the data are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from paribus.config.compose import jobs
from paribus.config.foreign import foreign
from paribus.errors import ConfigError
from paribus.measure import Contexts
from paribus.running.about import data_subject
from paribus.running.request import from_job
from paribus.subjects.images.data import ImageData
from paribus.subjects.images.digits_scanners import DigitsScanners
from paribus.subjects.tables.table import Table

CALLED = []


@dataclass(frozen=True)
class Points:
    subject: ClassVar[str] = "points"


def says_it() -> ImageData:
    CALLED.append("says_it")


def says_nothing():
    CALLED.append("says_nothing")
    return Points()


def named(function):
    return foreign(function, f"here.{function.__name__}", {}, "data")


def test_specs_declare_it_and_functions_say_what_they_return():
    assert data_subject(DigitsScanners()) == "images"
    assert data_subject(Table(path="t.csv", label="y")) == "tables"
    assert data_subject(None) is None
    assert data_subject(named(says_it)) == "images" and data_subject(named(Points)) == "points" and not CALLED


def test_data_whose_function_says_nothing_are_loaded_to_know():
    assert data_subject(named(says_nothing)) == "points" and CALLED == ["says_nothing"]


TABLE = ["data=table", "data.path=t.csv", "data.label=y"]


@pytest.mark.parametrize(
    ("words", "subject"),
    [
        (["experiment=train_classifier"], "images"),
        (["experiment=train_classifier", *TABLE, "model=mlp"], "tables"),
        (["experiment=sweep", *TABLE, "model=mlp"], "tables"),
        (["experiment=sweep"], "images"),
        (["experiment=domain_swap"], "images"),
    ],
)
def test_a_request_is_about_what_its_data_are(words, subject):
    (job,) = jobs([*words, "tracking=off"])
    assert from_job(job).subject == subject


def test_data_of_a_kind_that_an_experiment_does_not_know_are_refused():
    (job,) = jobs(["experiment=train_classifier", "data=builds_generated", "tracking=off"])
    with pytest.raises(ConfigError, match="data: train_classifier works on images or tables.*, and these are builds"):
        from_job(job).subject  # noqa: B018


@pytest.mark.parametrize(
    ("data", "given"), [(TABLE, "tables give n_features, n_classes, generator"), ([], "images give in_channels")]
)
def test_a_model_function_is_refused_by_name_for_every_kind_of_data(tmp_path, data, given):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "own.yaml").write_text("_target_: torch.nn.Linear\n")
    words = ["experiment=train_classifier", "tracking=off", *data, "model=own"]
    with pytest.raises(ConfigError, match=rf"model.in_features: torch.nn.Linear needs this argument.*{given}"):
        jobs(words, config_dirs=[tmp_path])


def contexts():
    return Contexts(inputs=torch.zeros(2, 1))


def test_contexts_of_a_function_are_refused_by_its_name():
    request = from_job(jobs(["experiment=sweep"])[0])
    with pytest.raises(ConfigError, match=r"here.contexts returns no data of a subject .* are handed over in Python"):
        _ = request.with_nodes(data=named(contexts)).subject
