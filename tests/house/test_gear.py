"""Words of gear occur in the rooms of builds alone, so that no other room is about one game."""

from __future__ import annotations

import re

import pytest

WORDS = re.compile(r"(?<![a-z])(weapons?|ability|abilities|rungs?|capstones?|splat\w*|kits?)(?![a-z])", re.IGNORECASE)
ROOMS = ("paribus.subjects.builds", "paribus.experiments.builds")
NAMED = {
    "paribus.cli.verbs.spec": "the verb of the older format, which was about builds",
    "paribus.config.aliases": "modules that kept runs name",
    "paribus.cli.notebook": "an example with the planted model",
    "paribus.experiments.feature_survey": "a type of builds that also surveys other networks keeps its fields",
    "paribus.tracking.views": "saved views of MLflow, with a chart of the curve of a builds experiment",
    "paribus.experiments.glance": "says what the groups of a survey are, for builds too",
}
"""Modules outside of builds that have such words, and why."""


def gear_in(text: str) -> list[str]:
    """Return the words of gear in a text, or in the identifiers of a source."""
    return sorted({word.lower() for word in WORDS.findall(text.replace("_", " "))})


def texts(source, module: str) -> str:
    return (source.ROOT / source.path_of(module)).read_text(encoding="utf-8")


def test_gear_is_found_and_other_words_are_not():
    assert gear_in("weapon_group of a rung") == ["rung", "weapon"]
    assert gear_in("the trungs, a kitchen and reliability") == []


def test_no_other_room_speaks_of_gear(source):
    found = {name: gear_in(texts(source, name)) for name in source.modules() if not name.startswith(ROOMS)}
    assert {name: words for name, words in found.items() if words and name not in NAMED} == {}


@pytest.mark.parametrize("module", NAMED)
def test_the_exceptions_are_needed(source, module):
    assert gear_in(texts(source, module))
