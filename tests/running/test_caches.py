from __future__ import annotations

from dataclasses import replace

import pytest

from paribus.running import caches
from paribus.running.contents import fingerprint
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.statink import BuildsStatink
from paribus.subjects.images.digits_scanners import DigitsScanners


@pytest.fixture(autouse=True)
def empty():
    caches.clear()
    yield
    caches.clear()


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        (BuildsGenerated(n_builds=30), {"n_builds": 31}),
        (BuildsGenerated(n_builds=30), {"seed": 1}),
        (BuildsGenerated(n_builds=30), {"confounding": 0.1}),
        (DigitsScanners(), {"strength": 0.5}),
        (DigitsScanners(), {"seed": 1}),
    ],
)
def test_other_parameters_are_another_data_set(spec, change):
    assert fingerprint(spec) != fingerprint(replace(spec, **change))
    assert fingerprint(spec) == fingerprint(replace(spec))


def test_a_file_is_known_by_its_content_and_by_how_it_is_read(tmp_path):
    first, moved = tmp_path / "a.csv", tmp_path / "b.csv"
    for file in (first, moved):
        file.write_text("x,y\n1,2\n")
    spec = BuildsStatink(path=str(first))
    assert fingerprint(spec) == fingerprint(replace(spec, path=str(moved)))
    moved.write_text("x,y\n1,3\n")
    assert fingerprint(spec) != fingerprint(replace(spec, path=str(moved)))


def test_jobs_of_one_process_with_other_data_get_other_data():
    small, large = BuildsGenerated(n_builds=30), BuildsGenerated(n_builds=60)
    first = caches.load_data(small)
    assert caches.load_data(replace(small)) is first
    assert len(caches.load_data(large).contexts) > len(first.contexts)
