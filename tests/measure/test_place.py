"""Places: their text, and what of a value they mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from paribus.engine.interventions import AblateUnits
from paribus.errors import ConfigError
from paribus.measure.place import Place


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("blocks.2", "blocks.2.output"),
        ("attn.out.input[head=6, pos=-1]", "attn.out.input[head=6, pos=-1]"),
        ("attn.out.input|head:6|pos:-1", "attn.out.input[head=6, pos=-1]"),
        ("relu:2@1[channel=3+4]", "relu.output:2@1[channel=3+4]"),
        ("blocks.2[pos=3..5+9]", "blocks.2.output[pos=3+4+5+9]"),
        ("blocks.2@subject.last", "blocks.2.output@subject.last"),
        ("blocks.2@-1@subject", "blocks.2.output@-1@subject"),
        ("attn.out.input|head:6|pos:@end", "attn.out.input[head=6]@end"),
    ],
)
def test_text_is_read_back(text, canonical):
    assert str(Place.parse(text)) == canonical
    assert Place.parse(canonical) == Place.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a[head=x]", "whole numbers"),
        ("a[heads=1]", "no such part 'heads'"),
        ("a[head=1, channel=2]", "not both"),
        ("a[head=1", "write a module's name"),
        ("a[pos=5..3]", "a range as 3..7, or a name after @"),
        ("a[pos=3]@end", "by number or by name"),
        ("", "write a module's name"),
    ],
)
def test_what_is_no_place_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        Place.parse(text)


def test_heads_become_channels():
    net = nn.Sequential(nn.TransformerEncoderLayer(8, 2, batch_first=True))
    place = Place.parse("0.self_attn.out_proj.input[head=1]").bind(net, 8)
    assert place.channels == (4, 5, 6, 7)
    h = torch.ones(2, 8, 3)
    edited = place.within(AblateUnits(range(4)), np.arange(len(h))).forward(h)
    assert edited[:, :4].eq(1).all() and edited[:, 4:].eq(0).all()
    with pytest.raises(ConfigError, match="2 heads, numbered 0 to 1"):
        Place.parse("0.self_attn.out_proj.input[head=2]").bind(net, 8)
    with pytest.raises(ConfigError, match="how many heads"):
        Place.parse("0[head=0]").bind(nn.Sequential(nn.Linear(2, 2)), 2)


def test_positions_are_a_part():
    place = Place.parse("0[pos=0+-1]").bind(nn.Sequential(nn.Linear(2, 2)), 2)
    h = torch.arange(12.0).reshape(1, 2, 6)
    assert place.part(h, np.arange(len(h))).tolist() == [[[0.0, 5.0], [6.0, 11.0]]]


def test_named_positions_are_those_of_each_context():
    net = nn.Sequential(nn.Linear(2, 2))
    table = np.array([[1, 2], [4, 4], [0, 5]])
    with pytest.raises(ConfigError, match="no position named 'subjct'.*subject"):
        Place.parse("0@subjct").on({"subject": table}, "tokens")
    place = Place.parse("0[channel=1]@subject").bind(net, 2)
    h = torch.arange(24.0).reshape(2, 2, 6)
    with pytest.raises(ConfigError, match="not bound to contexts"):
        place.part(h, np.array([0, 1]))
    place = place.on({"subject": table}, "tokens")
    assert place.part(h, np.array([2, 1])).tolist() == [[[6.0, 11.0]], [[22.0, 22.0]]]
    edited = place.within(AblateUnits([0]), np.array([2, 1])).forward(h)
    expected = h.clone()
    expected[0, 1, [0, 5]] = 0
    expected[1, 1, 4] = 0
    assert edited.equal(expected)
