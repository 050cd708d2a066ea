from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.errors import DataError
from paribus.subjects.selection import Roles, draw, hold_out, resolve_roles

NAMES = ("north", "south", "east", "west")


def roles(train=(), val="east", ood="west", counts=(5, 5, 5, 5), **more):
    return resolve_roles(NAMES, np.repeat(np.arange(4), counts), "here", train=train, val=val, ood=ood, **more)


def test_what_plays_no_other_role_is_trained_on():
    assert roles() == Roles(train=(0, 1), val=2, ood=3)
    assert roles(val=None) == Roles(train=(0, 1, 2), val=None, ood=3)
    assert roles(train=["south"]) == Roles(train=(1,), val=2, ood=3)
    assert roles(counts=(5, 0, 5, 5)) == Roles(train=(0,), val=2, ood=3)
    assert roles(val="0", ood="3") == Roles(train=(1, 2), val=0, ood=3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ood": "wast"}, "here: ood_domain: no such domain 'wast'; did you mean 'west'"),
        ({"ood": "7"}, "no such domain '7'"),
        ({"ood": "3", "numbers": False}, "no such domain '3'"),
        ({"val": "west"}, "the domain 'west' has two roles"),
        ({"train": ["west"]}, "the domain 'west' has two roles"),
        ({"counts": (5, 5, 5, 0)}, "the domain 'west' has no images"),
        ({"train": ["north"], "counts": (0, 5, 5, 5)}, "the domain 'north' has no images"),
        ({"counts": (0, 0, 5, 5)}, "no domain is left to train on"),
    ],
)
def test_wrong_roles_are_refused(fields, message):
    with pytest.raises(DataError, match=message):
        roles(**fields)


@st.composite
def images(draw):
    n = draw(st.integers(40, 200))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    clusters = rng.integers(0, draw(st.integers(12, 40)), n)
    return {"domains": clusters % 3, "clusters": clusters, "labels": rng.integers(0, 2, n), "rng": rng}


@settings(deadline=None, max_examples=40)
@given(images(), st.floats(0.05, 0.9))
def test_held_out_clusters_are_whole_and_every_domain_keeps_some(given, share):
    domains, clusters = given["domains"], given["clusters"]
    rows = np.arange(len(domains))
    if min(len(np.unique(clusters[domains == k])) for k in np.unique(domains)) < 2:
        return
    held = hold_out(rows, share, domains=domains, clusters=clusters, rng=given["rng"], where="here", names="abc")
    kept = np.setdiff1d(rows, held)
    assert not set(clusters[held]) & set(clusters[kept])
    assert set(domains[held]) == set(domains[kept]) == set(domains)
    for k in np.unique(domains):
        total = len(np.unique(clusters[domains == k]))
        got = len(np.unique(clusters[held][domains[held] == k]))
        assert abs(got - share * total) <= 1


def test_a_domain_of_one_cluster_is_named():
    with pytest.raises(DataError, match="here: the domain 'b' has a single cluster"):
        hold_out(
            np.arange(6),
            0.5,
            domains=np.array([0, 0, 0, 1, 1, 1]),
            clusters=np.array([0, 1, 2, 3, 3, 3]),
            rng=np.random.default_rng(0),
            where="here",
            names="ab",
        )


@settings(deadline=None, max_examples=40)
@given(images(), st.integers(2, 30), st.booleans())
def test_draws_are_distinct_rows_in_equal_parts(given, n, balance):
    domains, labels = given["domains"], given["labels"]
    rows = np.flatnonzero(given["clusters"] % 2 == 0)
    cells = [rows[(domains[rows] == d) & (labels[rows] == c)] for d in np.unique(domains[rows]) for c in (0, 1)]
    if n > len(rows) or (balance and min(map(len, cells)) < -(-n // len(cells))):
        return
    found = draw(
        rows,
        n,
        labels=labels,
        domains=domains,
        balance=balance,
        rng=given["rng"],
        where="here",
        names=(NAMES, ("no", "yes")),
    )
    assert len(found) == len(set(found)) == n
    assert set(found) <= set(rows)
    if balance:
        sizes = [len(np.intersect1d(found, cell)) for cell in cells]
        assert max(sizes) - min(sizes) <= 1


def test_all_rows_without_a_number():
    rows = np.array([3, 5, 9])
    nothing = np.zeros(10, dtype=int)
    options = {
        "labels": nothing,
        "domains": nothing,
        "rng": np.random.default_rng(0),
        "where": "here",
        "names": ("", ""),
    }
    assert np.array_equal(draw(rows, None, balance=True, **options), rows)
    with pytest.raises(DataError, match="here: 4 are asked for, there are 3"):
        draw(rows, 4, balance=False, **options)
