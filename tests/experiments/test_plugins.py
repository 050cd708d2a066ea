"""Subjects are found by name: those of Paribus, registered ones, and those of installed packages."""

from __future__ import annotations

import pytest

from paribus.errors import ConfigError
from paribus.experiments import plugins
from paribus.experiments.networks import NetworkSubject
from paribus.experiments.subject import SubjectPlugin
from paribus.measure import ArraySubject, Contexts
from paribus.subjects.kind import Kind

POINTS = Kind("points", Contexts, ArraySubject, ("points", "mlp"))


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch):
    monkeypatch.setattr(plugins, "_registered", {})


@pytest.mark.parametrize("name", sorted(plugins.OWN))
def test_every_subject_of_paribus_is_a_plugin_under_its_own_name(name):
    found = plugins.named(name)
    assert isinstance(found, SubjectPlugin) and found.name == name and plugins.outside(name) is None


def test_a_kind_is_set_up_like_every_network():
    made = plugins.register(POINTS)
    assert isinstance(made, NetworkSubject) and plugins.named("points") is made is plugins.outside("points")
    assert made.code() == [Contexts, ArraySubject, POINTS.overlap, POINTS.unlike, POINTS.shape]


def test_a_name_of_paribus_and_what_is_no_subject_are_refused():
    with pytest.raises(ConfigError, match="'images': is a subject of Paribus itself"):
        plugins.register(Kind("images", Contexts, ArraySubject, ("points", "mlp")))
    with pytest.raises(ConfigError, match="is no subject"):
        plugins.register(object())
    with pytest.raises(ConfigError, match=r"there is no subject 'image'.*images"):
        plugins.named("image")


def test_an_installed_subject_is_found_by_its_entry_point(monkeypatch):
    class Point:
        name = "points"

        def load(self):
            return POINTS

    monkeypatch.setattr(plugins, "entry_points", lambda group, name=None: [Point()] if name != "image" else [])
    assert plugins.named("points").name == "points" and "points" in plugins.names()
