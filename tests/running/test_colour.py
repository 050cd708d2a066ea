"""Runs whose curves lie over each other are told apart by their colours."""

from __future__ import annotations

import colorsys
import itertools
import re

from paribus.running.colour import colour


def hue(text):
    return colorsys.rgb_to_hls(*(int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)))[0]


def test_seeds_of_one_request_lie_far_apart():
    colours = [colour("steering grokking", seed) for seed in range(8)]
    assert all(re.fullmatch(r"#[0-9a-f]{6}", each) for each in colours)
    gaps = [abs(hue(a) - hue(b)) for a, b in itertools.combinations(colours, 2)]
    assert min(min(gap, 1 - gap) for gap in gaps) > 0.05


def test_conditions_differ_and_a_request_keeps_its_colour():
    assert colour("steering grokking", 1) != colour("steering standard", 1)
    assert colour("steering grokking", 1) == colour("steering grokking", 1)
