"""A model measured on another table: rows it was trained on are found, and columns mean what they meant in training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paribus.errors import DataError
from paribus.subjects.overlap import overlap, unlike
from paribus.subjects.tables.data import encoded_as
from paribus.subjects.tables.table import Table

SPLITS = ["train"] * 8 + ["id_val"] * 4 + ["ood"] * 4


def frame(seed=0, **changes):
    rng = np.random.default_rng(seed)
    columns = {
        "who": [f"p{seed}{k // 2}" for k in range(16)],
        "y": ["no", "yes"] * 8,
        "age": rng.normal(50 + 20 * seed, 5, 16),
        "ward": ["a", "b", "a", "b"] * 4,
        "part": SPLITS,
    }
    return pd.DataFrame({**columns, **changes})


@pytest.fixture
def load(tmp_path):
    made = []

    def read(table, **fields):
        made.append(tmp_path / f"t{len(made)}.parquet")
        table.to_parquet(made[-1])
        return Table(path=str(made[-1]), **{"label": "y", "split": "part", "cluster": "who", **fields}).load()

    return read


def test_tables_of_other_patients_share_nothing(load):
    found = overlap(load(frame(0)), load(frame(1)))
    assert (found.same, found.related) == ({}, {})


def test_patients_that_a_model_was_trained_on_are_found_by_name(load):
    other = frame(1)
    other.loc[12:13, "who"] = "p00"
    assert overlap(load(frame(0)), load(other)).same == {"ood": 2}


def test_rows_are_found_by_content_where_there_are_no_patients(load):
    other = frame(1, who=[f"q{k}" for k in range(16)])
    other.loc[12, ["age", "ward"]] = frame(0).loc[3, ["age", "ward"]]
    for cluster, leave_out in (("who", []), (None, ["who"])):
        found = overlap(*(load(each, cluster=cluster, leave_out=leave_out) for each in (frame(0), other)))
        assert found.same == {"ood": 1}


def test_rows_of_few_categories_are_alike_by_chance_and_say_nothing(load):
    few = {"columns": ["ward"]}
    assert overlap(load(frame(0), **few), load(frame(1), **few)).same == {}


def test_patients_that_a_table_itself_holds_out_are_related_only(load):
    shared = [f"p0{k % 4}" for k in range(16)]
    found = overlap(load(frame(0, who=shared)), load(frame(1, who=shared)))
    assert found.same == {} and found.related == {"id_val": 4, "ood": 4}


def test_another_table_is_encoded_as_in_training(load):
    known, other = load(frame(0)), load(frame(1)[["ward", "age", "y", "who", "part"]])
    assert other.column_names != known.column_names
    encoded = encoded_as(known, other)
    assert encoded.columns == known.columns and encoded.digest not in (known.digest, other.digest)
    age = known.column("age")
    values = encoded.inputs[:, age.slots].double().numpy()
    assert np.allclose(age.decode(values).astype(float), frame(1)["age"], rtol=1e-5)
    assert abs(float(values[:8].mean())) > 2.0, "not standardised by its own rows"
    ward = known.column("ward")
    assert ward.decode(encoded.inputs[:, ward.slots].double().numpy()).tolist() == frame(1)["ward"].tolist()
    assert unlike(known, encoded) == []


def test_categories_that_the_model_does_not_know_are_said_and_are_zero(load):
    other = load(frame(1, ward=["a", "c"] * 8))
    encoded = encoded_as(load(frame(0)), other)
    assert any("knows no category c" in note for note in encoded.notes)
    assert not encoded.inputs[1, encoded.column("ward").slots].any()


def test_missing_values_keep_their_indicator(load):
    ages = frame(0)["age"].tolist()
    holed = frame(0, age=[None, *ages[1:]])
    known = load(holed, missing="category")
    encoded = encoded_as(known, load(holed, missing="category"))
    assert np.allclose(encoded.inputs, known.inputs, atol=1e-6)


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("missing", ["category", "mean"])
def test_held_out_rows_mean_the_same_whatever_the_other_rows_of_their_table(load, missing, standardise):
    ages, wards = frame(0)["age"].tolist(), frame(0)["ward"].tolist()
    ages[0] = ages[9] = None
    if missing == "category":
        wards[1] = wards[10] = None
    fields = {"missing": missing, "standardise": standardise, "categorical": ["ward"]}
    known = load(frame(0, age=ages, ward=wards), **fields)
    ages[:8], wards[:8] = np.arange(8) * 9.0, ["b"] * 8
    encoded = encoded_as(known, load(frame(0, age=ages, ward=wards), **fields))
    assert np.allclose(encoded.inputs[8:], known.inputs[8:], atol=1e-5)
    assert not any("that no training row has" in note or "same in all training rows" in note for note in encoded.notes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"age": ["old", "young"] * 8}, "the model was trained on numbers in 'age', here it holds categories"),
        ({"ward": np.arange(16.0)}, "the model was trained on categories in 'ward', here it holds numbers"),
    ],
)
def test_columns_of_another_kind_are_refused(load, changes, said):
    with pytest.raises(DataError, match=said):
        encoded_as(load(frame(0)), load(frame(1, **changes)))


def test_a_column_that_is_not_there_is_refused_with_the_nearest(load):
    with pytest.raises(DataError, match=r"the column 'age'.*did you mean 'aged'"):
        encoded_as(load(frame(0)), load(frame(1).rename(columns={"age": "aged"})))


def test_other_classes_are_said(load):
    (line,) = unlike(load(frame(0)), load(frame(1, y=["ill", "well"] * 8)))
    assert line == "Its classes are (ill, well); those that the model was trained on are (no, yes)."
