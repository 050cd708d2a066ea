"""The site grammar."""

from __future__ import annotations

import pytest
from torch import nn

from paribus.engine.sites import Site
from paribus.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("avgpool", Site("avgpool", "output")),
        ("layer3.output", Site("layer3", "output")),
        ("output_layer.input", Site("output_layer", "input")),
        ("layer3.0.conv1.input", Site("layer3.0.conv1", "input")),
        ("encoder.output.output", Site("encoder.output", "output")),
        ("blocks.2@-1", Site("blocks.2", "output", -1)),
        ("blocks.2.input@2", Site("blocks.2", "input", 2)),
        ("output", Site("output", "output")),
        (" avgpool ", Site("avgpool", "output")),
        ("relu:2", Site("relu", "output", None, 2)),
        ("encoder.relu.input:1@-1", Site("encoder.relu", "input", -1, 1)),
    ],
)
def test_text_is_read_and_written_back(text, site):
    assert Site.parse(text) == site
    assert Site.parse(str(site)) == site


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "empty"), ("fc@x", "whole number"), ("fc@0", "axis 0"), ("fc:x", "whole number"), ("fc:0", "counted from 1")],
)
def test_bad_text_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        Site.parse(text)


def test_bad_port_is_refused():
    with pytest.raises(ConfigError, match="no such port"):
        Site("fc", "inptu")  # type: ignore[arg-type]


def test_an_unknown_module_is_refused_with_the_nearest_names():
    model = nn.Sequential()
    model.add_module("avgpool", nn.AvgPool2d(2))
    with pytest.raises(ConfigError, match="did you mean 'avgpool'"):
        Site("avgpol").validate(model)
    assert Site("avgpool").validate(model) is model.avgpool


@pytest.mark.parametrize(
    ("module", "shape", "port", "axis"),
    [
        (nn.Linear(2, 2), (3, 2), "output", 1),
        (nn.Conv2d(2, 2, 1), (3, 2, 4, 4), "output", 1),
        (nn.Conv1d(2, 2, 1), (3, 2, 4), "output", 1),
        (nn.BatchNorm1d(2), (3, 2, 4), "output", 1),
        (nn.LayerNorm(2), (3, 4, 2), "output", 2),
        (nn.Identity(), (3, 4, 2), "output", 2),
        (nn.Sequential(nn.Linear(2, 2), nn.Conv1d(2, 2, 1)), (3, 2, 4), "output", 1),
        (nn.Sequential(nn.Linear(2, 2), nn.Conv1d(2, 2, 1)), (3, 4, 2), "input", 2),
        (nn.TransformerEncoderLayer(4, 2), (3, 5, 4), "output", 2),
        # images whose channels are last, as in ConvNeXt and Swin
        (nn.Linear(2, 6), (3, 6, 6, 6), "output", 3),
        (nn.Linear(2, 6), (3, 4, 4, 2), "input", 3),
        (nn.LayerNorm(6), (3, 4, 4, 6), "output", 3),
        (nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 8)), (3, 4, 4, 8), "output", 3),
        (nn.Sequential(nn.Conv2d(6, 6, 1), nn.Linear(6, 8)), (3, 8, 4, 4), "output", 1),  # turned back at its end
    ],
)
def test_the_channel_axis_follows_from_the_module(module, shape, port, axis):
    assert Site("x", port).channel_axis(nn.ModuleDict({"x": module}), shape) == axis


@pytest.mark.parametrize(
    ("layers", "shape", "axis"),
    [
        ([nn.Conv1d(2, 4, 1)], (3, 4, 5), 1),
        ([nn.Conv1d(2, 5, 1)], (3, 7, 5), 2),  # turned in between
        ([nn.Conv2d(3, 8, 1)], (3, 5, 8), 2),  # patches of an image as tokens
        ([nn.Linear(2, 5)], (3, 4, 5), 2),
        ([nn.Conv2d(3, 8, 1), nn.Linear(8, 12)], (3, 4, 4, 12), 3),
        ([nn.Linear(8, 12)], (3, 2, 6, 6), 1),  # attention [n, heads, to, from]
        ([nn.Conv2d(3, 8, 1)], (3, 8, 4, 4), 1),
        ([nn.MaxPool1d(2)], (3, 4, 5), 2),
    ],
)
def test_what_has_no_channels_of_its_own_keeps_those_of_the_layer_before(layers, shape, axis):
    net = nn.Sequential(*layers, nn.ReLU(), nn.Linear(3, 2))
    for port in ("output", "input"):
        assert Site(str(len(layers)), port).channel_axis(net, shape) == axis
    first = nn.ModuleDict({"act": nn.ReLU(), "conv": nn.Conv1d(4, 6, 1)})
    assert Site("act").channel_axis(first, (3, 4, 5)) == 1
    assert Site("act").channel_axis(nn.ModuleDict({"act": nn.ReLU()}), (3, 4, 5)) == 2


def test_a_declared_axis_wins_and_must_exist():
    conv, norm = nn.ModuleDict({"x": nn.Conv2d(2, 2, 1)}), nn.ModuleDict({"x": nn.LayerNorm(2)})
    assert Site("x", axis=-1).channel_axis(conv, (3, 2, 4, 4)) == 3
    assert Site("x", axis=1).channel_axis(norm, (3, 4, 2)) == 1
    with pytest.raises(ConfigError, match="axis 4 does not exist"):
        Site("x", axis=4).channel_axis(norm, (3, 4, 2))
    with pytest.raises(ConfigError, match="1 axes"):
        Site("x").channel_axis(norm, (3,))
