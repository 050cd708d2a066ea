"""The erasers that studies and experiments use unless asked otherwise remove the planted effect; the probe's do not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from paribus.config import catalogue
from paribus.config.compose import jobs
from paribus.experiments.shortcut.subspace_ablation.spec import METHODS, SubspaceAblation

_SPEC = importlib.util.spec_from_file_location("toy_shortcut", Path(__file__).with_name("toy_shortcut.py"))
toy_shortcut = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(toy_shortcut)
Toy, run = toy_shortcut.Toy, toy_shortcut.run

STUDIES = [option.name for option in catalogue.options("study") if option.name.startswith("shortcut")]


class Spread(Toy):
    """The domain also moves a second axis, further and with noise of its own: that is the one that the head reads.

    A probe reads the first axis alone, where the noise is cancelled, so that removing its row leaves the effect.
    """

    def __init__(self, **settings):
        super().__init__(**settings)
        rng = np.random.default_rng(7)
        second = rng.standard_normal(self.d)
        for axis in (self.domain_axis, self.label_axis):
            second -= (second @ axis) * axis
        second /= np.linalg.norm(second)
        mixing = np.eye(self.d) + 3.0 * np.outer(self.domain_axis, second)
        plain = self.images
        self.data.inputs[...] = plain(self.data.inputs.numpy()[:, 0, 0, :] @ mixing)
        object.__setattr__(self.data, "rerender", lambda rows, k: plain((self.content[rows] + self.shift(k)) @ mixing))
        self.weight = np.stack([np.zeros(self.d), self.label_axis + second / 3.0])
        self.bias = np.array([0.0, -0.7 * self.weight[1].sum()])


@pytest.fixture(scope="module")
def left():
    """Share of the domain-swap effect that survives each eraser."""
    toy = Spread(n=2000, d=8, seed=1)
    methods = [method for method in METHODS if method != "random"]
    experiment = SubspaceAblation(methods=methods, splits=["id_val"], refit_probes=False)
    table = run(experiment, toy.setup())[1].tables["ablation"].frame
    return table.set_index("method")["swap_remaining"].abs().to_dict()


def test_the_planted_effect_tells_erasers_apart(left):
    assert left["probe"] > 0.5 and left["mean_difference"] < 0.2


def test_the_headline_eraser_of_the_experiment_removes_the_effect(left):
    assert left[SubspaceAblation().methods[0]] < 0.2


@pytest.mark.parametrize("study", STUDIES)
def test_the_erasers_of_every_study_remove_the_effect(study, left, tmp_path):
    extra = [f"data.path={tmp_path}"] if study == "shortcut_camelyon17" else []
    (job,) = jobs([f"study={study}", "training=standard", *extra])
    experiment = job.nodes["experiment"]
    assert left[experiment.comparison.method] < 0.2
    for step in experiment.steps.values():
        if isinstance(step, SubspaceAblation):
            assert left[step.methods[0]] < 0.2
            assert experiment.comparison.method in step.methods


def test_the_comparison_by_itself_reads_one_that_removes_the_effect(left):
    (job,) = jobs(["experiment=compare_interventions"])
    assert left[job.nodes["experiment"].method] < 0.2
