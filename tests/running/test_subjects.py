"""What a request is about: the experiment says, or the data do; and on whose models it works."""

from __future__ import annotations

import pytest

import paribus.running.request as requests
from paribus.config.compose import jobs
from paribus.running.resolve import models_on

TABLE = ["data=table", "data.path=t.csv", "data.label=y"]
TRACKED = ["model=tracked", "model.run=latest"]


def asked(*words):
    (job,) = jobs([*words, "tracking=off"])
    return requests.from_job(job)


@pytest.mark.parametrize("kind", ["subspace_ablation", "activation_steering", "neuron_ablation", "probe_trajectory"])
def test_the_shortcut_experiments_are_about_what_the_data_are(kind):
    assert asked(f"experiment={kind}", "data=digits_scanners", "model=small_cnn").subject == "images"
    assert asked(f"experiment={kind}", *TABLE, "model=mlp").subject == "tables"
    assert models_on(asked(f"experiment={kind}", *TABLE, *TRACKED)) == ("tables",)


def test_without_data_models_on_images_are_looked_for_first():
    assert models_on(asked("experiment=subspace_ablation", *TRACKED)) == ("images", None)
    assert models_on(asked("experiment=sweep", *TRACKED)) == (None,)
    assert models_on(asked("experiment=feature_survey", *TRACKED)) == ("builds", None)
    assert models_on(asked("experiment=weapon_sweep", "feature=latent", *TRACKED)) == ("builds",)
