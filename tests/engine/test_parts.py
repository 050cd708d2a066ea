"""Edits of some channels at some positions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paribus.engine.interventions import AblateUnits, Identity, ProjectOut, Steer
from paribus.engine.parts import Together, Within
from paribus.engine.replacements import Resample, SetFeature
from paribus.errors import ExperimentError


def test_only_the_part_changes():
    h = torch.randn(4, 6, 5)
    edited = Within(AblateUnits([0, 1]), channels=[3, 5], positions=[1, -1]).forward(h)
    changed = torch.zeros(6, 5, dtype=torch.bool)
    changed[[[3], [5]], [1, 4]] = True
    assert (edited[:, changed] == 0).all()
    assert torch.equal(edited[:, ~changed], h[:, ~changed])


def test_positions_of_an_image_are_counted_row_by_row():
    h = torch.randn(2, 3, 4, 4)
    edited = Within(AblateUnits([0, 1, 2]), positions=[6]).forward(h)
    assert (edited[:, :, 1, 2] == 0).all()
    assert (edited != h).sum() == 2 * 3


def test_every_row_has_its_own_positions():
    h = torch.ones(3, 2, 4)
    whole = Within(AblateUnits([0]), positions=[[0], [-1], [2]])
    assert whole.needs_rows
    expected = h.clone()
    expected[0, 0, 0] = expected[1, 0, 3] = expected[2, 0, 2] = 0.0
    assert torch.equal(whole.forward(h), expected)
    assert torch.equal(whole.at(slice(1, 3), lambda: h).forward(h[1:]), expected[1:])


def test_donors_come_from_the_same_positions():
    h = torch.randn(4, 6, 3)
    donors = [3, 2, 1, 0]
    edit = Within(Resample([0, 1], donors), channels=[2, 3], positions=[1])
    expected = h.clone()
    expected[:, 2:4, 1] = h.flip(0)[:, 2:4, 1]
    assert torch.equal(edit.at(slice(0, 4), lambda: h).forward(h), expected)
    assert torch.equal(edit.at(slice(2, 4), lambda: h).forward(h[2:]), expected[2:])


def test_all_channels_and_positions_are_the_whole():
    h = torch.randn(4, 6, 3)
    steer = Steer(np.arange(6.0), 0.3)
    assert torch.equal(Within(steer).forward(h), steer.forward(h))
    assert torch.equal(Within(Identity(), channels=[0]).forward(h), h)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Within(AblateUnits([0]), channels=[6]), "0..5"),
        (Within(AblateUnits([0]), channels=[1, 1]), "twice"),
        (Within(AblateUnits([2]), channels=[1, 3]), "0..1"),
        (Within(Steer(np.ones(6), 1.0), channels=[1, 3]), "6 entries; the site has 2"),
        (Within(AblateUnits([0]), positions=[[0], [1]]), "2 rows; there are 4"),
    ],
)
def test_what_does_not_fit_is_refused(edit, words):
    with pytest.raises(ExperimentError, match=words):
        edit.check(6, 4)


@pytest.mark.parametrize("position", [3, -4])
def test_a_position_that_does_not_exist_is_refused(position):
    with pytest.raises(ExperimentError, match=r"-3\.\.2"):
        Within(AblateUnits([0]), positions=[position]).forward(torch.zeros(2, 6, 3))


def test_moving_takes_the_inner_edit_along():
    moved = Within(Steer(np.ones(2), 1.0), channels=[0, 1]).to("cpu", torch.float64)
    assert moved.inner.direction.dtype == torch.float64
    both = Together((Steer(np.ones(2), 1.0), None)).to("cpu", torch.float64)
    assert both.edits[0].direction.dtype == torch.float64


def test_a_feature_among_rivals_is_off_where_k_others_are_larger():
    torch.manual_seed(0)
    rows, biases, decoder = torch.randn(7, 6), torch.randn(7), torch.randn(6, 7)
    h = torch.randn(50, 6)
    z = h @ rows.T + biases
    f = torch.relu(z)
    kept = torch.zeros_like(f).scatter_(1, f.topk(2, 1).indices, 1.0) * f
    others = [i for i in range(7) if i != 4]
    plain = (rows[4], float(biases[4]), decoder[:, 4], 3.0)
    one = SetFeature(*plain, rivals=rows[others], rival_biases=biases[others], top_k=2)
    torch.testing.assert_close(one.read(h), kept[:, 4])
    assert 0 < (kept[:, 4] > 0).sum() < (f[:, 4] > 0).sum()
    torch.testing.assert_close(one.forward(h), h + (3.0 - kept[:, 4])[:, None] * decoder[:, 4])
    assert not torch.allclose(SetFeature(*plain).read(h), kept[:, 4])


def test_rivals_and_k_belong_together():
    with pytest.raises(ExperimentError, match="belong together"):
        SetFeature(np.ones(3), 0.0, np.ones(3), 1.0, top_k=2)


@pytest.mark.parametrize("channels", [None, [4, 0, 2]])
def test_affine_edits_of_channels_are_pulled_back_into_the_linear_map(channels):
    draw = torch.Generator().manual_seed(0)
    h, weight = torch.randn(5, 6, generator=draw), torch.randn(2, 6, generator=draw)
    width = 6 if channels is None else 3
    basis = torch.linalg.qr(torch.randn(width, 2, generator=draw)).Q
    mean = torch.randn(width, generator=draw)
    for edits in ([ProjectOut(basis, mean), ProjectOut(basis.flip(0), -mean)], [Steer(mean, 0.5), Steer(mean, -2.0)]):
        parts = [Within(edit, channels=channels) for edit in edits]
        assert len({part.family for part in parts}) == 1 and parts[0].family is not None
        pulled = Within.pull_back(parts, weight)
        for number, part in enumerate(parts):
            rows = weight if pulled.weights is None else pulled.weights[number]
            torch.testing.assert_close(h @ rows.T + pulled.offsets[number], part.forward(h) @ weight.T)
    assert Within(edits[0], channels=channels, positions=[0]).family is None
    assert Within(Resample([0], [0, 1]), channels=channels).family is None


@pytest.mark.parametrize("units", [[-1], [0, 6], [6]])
def test_units_that_do_not_exist_are_refused(units):
    with pytest.raises(ExperimentError, match=r"units must lie in 0..5"):
        AblateUnits(units).check(6, 3)
    AblateUnits([0, 5]).check(6, 3)
