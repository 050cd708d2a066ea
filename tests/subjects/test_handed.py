"""Contexts handed over as an object."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from paribus.errors import DataError
from paribus.measure import Contexts
from paribus.subjects import handed
from paribus.subjects.handed import digest_of, handed_contexts, let_go, read_contexts, write_contexts

X = torch.arange(24.0).reshape(8, 3)
FULL = {
    "inputs": {"x": X, "mask": torch.ones(8, 3, dtype=torch.bool)},
    "cluster": ["a", "a", "b", "b", "c", "c", "d", "d"],
    "label": [0, 1] * 4,
    "domain": ["north"] * 4 + ["south"] * 4,
    "splits": {"train": np.arange(4), "ood": np.arange(4, 8)},
    "output_names": ("no", "yes"),
}


@pytest.fixture(autouse=True)
def nothing_held():
    yield
    handed._held.clear()


def test_contexts_come_back_from_a_file_as_they_were(tmp_path):
    contexts = Contexts(**FULL)
    write_contexts(contexts, tmp_path / "c.npz")
    back = read_contexts(tmp_path / "c.npz")
    assert digest_of(back) == digest_of(contexts)
    assert back.given.names == ("x", "mask") and back.given.tensors[1].dtype is torch.bool
    assert back.domain_names == ("north", "south") and back.output_names == ("no", "yes")
    plain = Contexts(inputs=(X, X + 1))
    write_contexts(plain, tmp_path / "p.npz")
    assert digest_of(read_contexts(tmp_path / "p.npz")) == digest_of(plain)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": {"x": X + 1e-6, "mask": torch.ones(8, 3, dtype=torch.bool)}},
        {"inputs": {"y": X, "mask": torch.ones(8, 3, dtype=torch.bool)}},
        {"label": [1, 0] * 4},
        {"label": None},
        {"cluster": None},
        {"domain": ["south"] * 4 + ["north"] * 4},
        {"splits": {"train": np.arange(5), "ood": np.arange(5, 8)}},
        {"output_names": ("yes", "no")},
    ],
)
def test_the_digest_covers_all_that_contexts_hold(change):
    assert digest_of(Contexts(**{**FULL, **change})) != digest_of(Contexts(**FULL))


def test_contexts_say_what_experiments_ask_of_a_data_set():
    spec = handed_contexts(Contexts(**FULL))
    data = spec.load()
    assert data.offers.splits == {"train": 4, "ood": 4} and data.offers.domains["ood"] == ("south",)
    assert data.provided() == {"input_shape": (3,), "n_features": 3, "n_classes": 2}
    with pytest.raises(DataError, match="no such split 'odo'; did you mean 'ood'"):
        data.rows("odo")
    bare = handed_contexts(Contexts(inputs=X)).load()
    assert bare.provided() == {"input_shape": (3,), "n_features": 3} and bare.offers.domains == {}
    assert handed_contexts(dataclasses.replace(bare.contexts, label=np.linspace(0, 1, 8))).load().offers.n_classes == 0


def test_contexts_that_were_let_go_are_asked_for_again():
    spec = handed_contexts(Contexts(**FULL))
    let_go(spec)
    with pytest.raises(DataError, match="hand them over again"):
        spec.load()


def test_no_archive_is_no_contexts(tmp_path):
    (tmp_path / "c.npz").write_text("nothing")
    for place in (tmp_path / "c.npz", tmp_path / "gone.npz"):
        with pytest.raises(DataError, match="not a readable archive"):
            read_contexts(place)
