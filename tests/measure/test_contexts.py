"""Contexts as a user hands them over."""

from __future__ import annotations

import numpy as np
import pandas as pd
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
        ({"label": [0.0, np.nan, 1.0]}, "label is missing"),
        ({"label": ["a", None, "b"]}, "label is missing for 1 of 3"),
        ({"cluster": ["a", np.nan, "b"]}, "cluster is missing for 1 of 3"),
        ({"cluster": [None, None, "b"]}, "cluster is missing for 2 of 3"),
        ({"cluster": pd.array(["a", pd.NA, "b"])}, "cluster is missing for 1 of 3"),
        ({"domain": [1.0, np.nan, 2.0]}, "domain must be whole numbers or names, none missing"),
        ({"domain": [0, 1, 2], "domain_names": ("a", "b")}, "from 0 to 2, domain_names has 2"),
        ({"output_names": ("a", "a")}, "output_names holds a name twice"),
        ({"splits": {"test": [0, 1, 1]}}, "more than once"),
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


@pytest.mark.parametrize(
    ("label", "names", "found"),
    [
        ([True, False, True], (), [1, 0, 1]),
        ([1.0, 0.0, 1.0], (), [1, 0, 1]),
        ([1.0, 0.5, 1.0], (), [1.0, 0.5, 1.0]),
        (["yes", "no", "yes"], ("yes", "no"), [0, 1, 0]),
        (["yes", "no", "yes"], (), ["yes", "no", "yes"]),
        (torch.tensor([1, 0, 1], dtype=torch.uint8), (), [1, 0, 1]),
    ],
)
def test_labels_that_are_classes_become_whole_numbers(label, names, found):
    contexts = Contexts(inputs=torch.zeros(3, 2), label=label, output_names=names)
    assert contexts.label.tolist() == found and (contexts.label.dtype.kind in "iu") == isinstance(found[0], int)


def test_ids_may_be_large_or_negative():
    for ids in ([10**17, 5, 10**17], [-3, -4, -3], [1e15, 1.0, 1e15]):
        contexts = Contexts(inputs=torch.zeros(3, 2), cluster=ids, domain=ids)
        assert contexts.cluster.tolist() == contexts.domain.tolist() == [1, 0, 1]
        assert contexts.domain_names == tuple(str(int(one)) for one in (ids[1], ids[0]))


def test_tables_nested_lists_and_half_numbers_are_inputs():
    rows = [[1.0, 2.0], [3.0, 4.0]]
    for inputs in (rows, pd.DataFrame(rows), torch.tensor(rows, dtype=torch.bfloat16), np.array(rows)):
        (found,) = Contexts(inputs=inputs).given.tensors
        assert found.tolist() == rows
    assert len(Contexts(inputs=[torch.zeros(2, 1), torch.ones(2, 1)]).given.tensors) == 2
    with pytest.raises(DataError, match="is no tensor"):
        Contexts(inputs=np.array([["a"], ["b"]]))
