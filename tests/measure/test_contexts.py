"""Contexts as a user hands them over."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paribus.errors import DataError
from paribus.measure.contexts import Contexts


def test_names_become_numbers_in_sorted_order():
    contexts = Contexts(inputs=(torch.zeros(3, 2),), cluster=["p2", "p1", "p2"], domain=["b", "a", "b"])
    assert contexts.cluster.tolist() == [1, 0, 1]
    assert contexts.domain.tolist() == [1, 0, 1] and contexts.domain_names == ("a", "b")


def test_masks_are_splits_too():
    contexts = Contexts(inputs=torch.zeros(3, 2), splits={"train": [0], "test": np.array([False, True, True])})
    assert contexts.splits["test"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cluster": [1, 2]}, "cluster must hold one value for each of 3"),
        ({"label": [[1], [2], [3]]}, "label must hold one value"),
        ({"domain": [0.5, 1, 2]}, "whole numbers or names"),
        ({"splits": {"train": [5]}}, "rows between 0 and 2"),
        ({"splits": {"train": []}}, "has no examples"),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    with pytest.raises(DataError, match=message):
        Contexts(inputs=torch.zeros(3, 2), **given)


def test_inputs_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="equally many rows"):
        Contexts(inputs=(torch.zeros(3, 2), torch.zeros(2, 2)))
