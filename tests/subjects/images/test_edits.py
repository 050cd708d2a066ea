"""Styles and patches as factors of images, against pixels made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError
from paribus.measure import ArraySubject, Contexts, Executor, Outputs
from paribus.measure.binding import Binding
from paribus.subjects.images.data import ImageData
from paribus.subjects.images.digits_scanners import DigitsScanners
from paribus.subjects.images.factors import Patches, Style
from paribus.subjects.images.subject import ImageSubject


class Sum(nn.Module):
    """The sum of the red channel, and that of the upper left corner."""

    def forward(self, images):
        return torch.stack([images[:, 0].sum((1, 2)), images[:, :, :2, :2].sum((1, 2, 3))], 1)


@pytest.fixture(scope="module")
def images():
    return ImageSubject(DigitsScanners(n_train=24, n_eval=24, eval_renderings=1, image_size=8).load())


def bound(spec, subject):
    return spec.bound(Binding(Executor(Sum(), subject), "", np.random.default_rng(0)))


def test_styles_are_levels_and_the_baseline_is_the_image_itself(images):
    factor = bound(Style(), images)
    names = images.domain_names
    assert factor.labels == ("as it is", *names)
    columns = images.splits["ood"]
    found = Executor(Sum(), images, batch_limit=7).stream(factor.design(), Outputs(), rows=columns)
    (block,) = found
    rendered = images.data.rerender(columns, 2)[:, 0].sum((1, 2)).numpy()
    np.testing.assert_allclose(block.values[0, 3], rendered, rtol=1e-5)
    np.testing.assert_allclose(block.values[0, 0], images.data.take(columns)[:, 0].sum((1, 2)).numpy(), rtol=1e-5)
    assert set(factor.observed(columns).tolist()) == {5} and images.data.domains[columns[0]] == 4
    some = bound(Style(domains=[names[3]], baseline=names[1]), images)
    assert some.labels == (names[1], names[3]) and some.observed(columns).tolist() == [-1] * len(columns)


def test_hidden_patches_show_one_colour_and_the_others_themselves(images):
    columns = np.arange(6)
    pixels = images.data.take(columns)
    on = np.ones((3, 16), bool)
    on[1, 0] = on[2] = False
    for fill in ("zero", "mean"):
        units = bound(Patches(grid=4, fill=fill), images)
        cells = units.keep(images.cells(columns), on)
        assert cells.shape == (3, 6) and len(units.names) == 16
        shown = [images.inputs(cells[level]).tensors[0] for level in range(3)]
        assert torch.equal(shown[0], pixels)
        colour = torch.zeros(6, 3, 1, 1) if fill == "zero" else pixels.mean((2, 3), keepdim=True)
        expected = pixels.clone()
        expected[:, :, :2, :2] = colour
        assert torch.equal(shown[1], expected)
        assert torch.equal(shown[2], colour.expand_as(pixels))
        run = Executor(Sum(), images)
        (block,) = run.stream(units.design(on), Outputs(), rows=columns)
        np.testing.assert_allclose(block.values[1, 1], expected[:, :, :2, :2].sum((1, 2, 3)).numpy(), atol=1e-5)


def test_equal_masks_are_run_once(images):
    units = bound(Patches(grid=2, fill="zero"), images)
    on = np.array([[True] * 4, [False, True, True, True], [False, True, True, True]])
    run = Executor(Sum(), images)
    stream = run.stream(units.design(on), Outputs(), rows=np.arange(5))
    list(stream)
    assert (stream.report.n_requested, stream.report.n_unique) == (15, 10)


def test_what_does_not_fit_is_refused_by_name(images):
    with pytest.raises(ConfigError, match="no such domain 'x'"):
        bound(Style(domains=["x"]), images)
    with pytest.raises(ConfigError, match="each once, and not the baseline"):
        Style(domains=["a"], baseline="a")
    with pytest.raises(ConfigError, match="9 patches do not fit into 8 pixels"):
        bound(Patches(grid=9), images)
    plain = ImageSubject(ImageData(torch.zeros(4, 1, 2, 2), np.array([0, 1, 0, 1]), splits={"train": np.arange(4)}))
    with pytest.raises(ConfigError, match="cannot show its images in another domain's style"):
        bound(Style(), plain)
    with pytest.raises(ConfigError, match="Patches varies images, the data are arrays"):
        bound(Patches(), ArraySubject(Contexts(torch.zeros(3, 2))))
