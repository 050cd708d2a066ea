"""A subspace illusion is built, patched, and told from the direction that really carries the answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError
from paribus.experiments.any.patch.spec import Patch
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.factors.spec import PatchAlong
from paribus.measure import ArraySubject, Contexts
from paribus.stats.spec import StatsSpec

MECHANISM, ILLUSORY = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]
"""Hidden units: 0 carries the label and is read; 1 carries it, unread; 2 is read and never differs; 3 is noise."""


class Illusory(nn.Module):
    """Three layers: what the second one reads of four hidden units, the third one adds up."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 4, bias=False)
        self.middle = nn.Linear(4, 2, bias=False)
        self.out = nn.Linear(2, 2, bias=False)
        self.hidden.weight.data = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
        self.middle.weight.data = torch.tensor([[1.0, 0.0, 0.0, 0.1], [0.0, 0.0, 1.0, 0.0]])
        self.out.weight.data = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])

    def forward(self, x):
        return self.out(self.middle(self.hidden(x)))


@pytest.fixture(scope="module")
def setup():
    rng = np.random.default_rng(0)
    label = np.arange(120) % 2
    x = np.stack([2.0 * label - 1 + 0.1 * rng.normal(size=120), rng.normal(size=120)], axis=1)
    contexts = Contexts(inputs=torch.from_numpy(x).float(), label=label, cluster=np.arange(120))
    stats = StatsSpec(n_null=10, n_bootstrap=300, n_permutations=999)
    return NetworkSetup(seed=0, stats=stats, contexts=ArraySubject(contexts), network=Illusory().eval())


def patched(setup, place="middle.input", **changes):
    recorder = MemoryRecorder()
    factor = PatchAlong(**changes)
    experiment = Patch(factor=factor, place=place, readout="label_margin", n_donors=5)
    result = perform(experiment, setup, recorder)
    return recorder.tables["effects"].frame, result


def test_a_subspace_illusion_is_flagged(setup):
    frame, result = patched(setup, along="given", values=ILLUSORY)
    whole, read, unread = (row for _, row in frame.iterrows())
    # by construction half of the difference (2) of the unread unit goes into the dormant one, which counts twice
    assert whole["established"] and whole["mean_delta"] == pytest.approx(-2.0, abs=0.1)
    assert read["along"] == "the part that is read" and read["mean_delta"] == pytest.approx(0.0, abs=1e-6)
    assert unread["along"] == "the part that is not read" and unread["mean_delta"] == pytest.approx(0.0, abs=1e-6)
    assert whole["remark"] == "illusion" and whole["share_read_high"] < 0.5
    assert any("an illusion" in warning for warning in result.diagnostics.warnings)


def test_the_direction_that_carries_the_answer_is_not(setup):
    frame, result = patched(setup, along="given", values=MECHANISM)
    whole = frame.iloc[0]
    # the noise unit is read by the same row of the map, so that a part of the direction's read part is noise
    assert whole["established"] and whole["mean_delta"] == pytest.approx(-4.0, abs=0.2)
    assert whole["remark"] == "" and whole["share_read_low"] > 0.9
    assert not any("illusion" in warning for warning in result.diagnostics.warnings)


def test_a_direction_that_is_not_read_at_all_does_nothing_and_has_no_share(setup):
    frame, _ = patched(setup, along="given", values=[0.0, 1.0, 0.0, 0.0])
    assert (
        (frame["mean_delta"] == 0).all()
        and frame["share_read"].isna().all()
        and (frame["remark"] == "undecided").sum() == 0
    )


def test_a_fitted_direction_is_found_on_other_contexts(setup):
    """The mean difference of the labels holds both carriers: what it does is done by the one that is read."""
    frame, _ = patched(setup, along="mean_difference")
    whole = frame.iloc[0]
    assert whole["n"] == 60 and whole["along"] == "mean_difference of label"
    assert whole["established"] and whole["remark"] == "" and whole["share_read_low"] > 0.9


def test_where_nothing_is_known_of_what_is_read_it_is_said(setup):
    frame, _ = patched(setup, place="hidden.output", along="given", values=ILLUSORY)
    assert len(frame) == 1 and frame["remark"][0].startswith("not told apart")
    assert frame["mean_delta"][0] == pytest.approx(-2.0, abs=0.1)


def test_a_vector_of_another_width_is_refused(setup):
    with pytest.raises(ConfigError, match="the place has 4 channels|has 4 channels"):
        patched(setup, along="given", values=[1.0])
    with pytest.raises(ConfigError, match="belongs to along=given"):
        PatchAlong(along="given")
