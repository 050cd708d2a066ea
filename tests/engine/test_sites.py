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
    ("module", "n_dims", "port", "axis"),
    [
        (nn.Linear(2, 2), 2, "output", 1),
        (nn.Conv2d(2, 2, 1), 4, "output", 1),
        (nn.Conv1d(2, 2, 1), 3, "output", 1),
        (nn.BatchNorm1d(2), 3, "output", 1),
        (nn.LayerNorm(2), 3, "output", 2),
        (nn.Identity(), 3, "output", 2),
        (nn.Sequential(nn.Linear(2, 2), nn.Conv1d(2, 2, 1)), 3, "output", 1),
        (nn.Sequential(nn.Linear(2, 2), nn.Conv1d(2, 2, 1)), 3, "input", 2),
        (nn.TransformerEncoderLayer(4, 2), 3, "output", 2),
    ],
)
def test_the_channel_axis_follows_from_the_module(module, n_dims, port, axis):
    assert Site("x", port).channel_axis(module, n_dims) == axis


def test_a_declared_axis_wins_and_must_exist():
    assert Site("x", axis=-1).channel_axis(nn.Conv2d(2, 2, 1), 4) == 3
    assert Site("x", axis=1).channel_axis(nn.LayerNorm(2), 3) == 1
    with pytest.raises(ConfigError, match="axis 4 does not exist"):
        Site("x", axis=4).channel_axis(nn.LayerNorm(2), 3)
    with pytest.raises(ConfigError, match="1 axes"):
        Site("x").channel_axis(nn.LayerNorm(2), 1)
