from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from paribus.errors import ConfigError, DataError
from paribus.subjects import columns as files
from paribus.subjects.tables.table import Table

ROLES = {"label": "sick", "domain": "hospital", "cluster": "patient", "val_domain": "east", "ood_domain": "west"}


def table(file, **changes):
    return Table(path=str(file), **{**ROLES, **changes})


def written(tmp_path, frame, name="t.csv"):
    frame.to_csv(tmp_path / name, index=False)
    return tmp_path / name


@pytest.fixture(scope="module")
def csv(tmp_path_factory, planted_hospitals):
    return planted_hospitals.write_hospitals(tmp_path_factory.mktemp("table") / "hospitals.csv")


@pytest.fixture(scope="module")
def frame(planted_hospitals):
    return planted_hospitals.hospitals()


def small(**changes):
    n = 12
    columns = {
        "y": ["no", "yes"] * 6,
        "age": np.arange(n) * 10.0,
        "ward": ["a", "b", "c"] * 4,
        "part": ["train"] * 6 + ["id_val"] * 2 + ["val"] * 2 + ["ood"] * 2,
    }
    return pd.DataFrame({**columns, **changes})


def load(tmp_path, frame, **changes):
    return Table(path=str(written(tmp_path, frame)), **{"label": "y", "split": "part", **changes}).load()


def test_rows_keep_their_roles(csv, frame):
    data = table(csv).load()
    assert [data.domain_names[k] for k in data.domains] == frame["hospital"].tolist()
    assert [data.class_names[k] for k in data.labels] == frame["sick"].tolist()
    assert data.class_names == ("no", "yes")
    assert data.column_names == ["marker", "batch", "noise", "ward"]
    assert [name for c in data.columns for name in c.inputs] == ["marker", "batch", "noise", "ward=a", "ward=b"]
    of = {name: {data.domain_names[k] for k in data.domains[rows]} for name, rows in data.splits.items()}
    assert of == {"train": {"north", "south"}, "id_val": {"north", "south"}, "val": {"east"}, "ood": {"west"}}
    assert sorted(np.concatenate(list(data.splits.values()))) == list(range(len(frame)))
    assert data.notes == ()


def test_a_patient_is_never_held_out_and_trained_on(csv):
    data = table(csv, val_domain=None).load()
    train = set(data.clusters[data.rows("train")])
    assert not train & set(data.clusters[data.rows("id_val")])
    assert not train & set(data.clusters[data.rows("val")])
    share = len(data.rows("id_val")) / (3 * 2 * 60)
    assert share == pytest.approx(0.2)


def test_numbers_are_standardised_by_the_training_rows_alone(csv, frame):
    data = table(csv).load()
    train = data.inputs[data.rows("train"), :3].double().numpy()
    assert np.allclose(train.mean(axis=0), 0.0, atol=1e-6)
    assert np.allclose(train.std(axis=0), 1.0, atol=1e-6)
    for column in data.columns[:3]:
        assert np.allclose(
            column.decode(data.inputs[:, column.slots].double().numpy()).astype(float), frame[column.name]
        )


@pytest.mark.parametrize("split", ["id_val", "val", "ood"])
def test_nothing_learned_from_the_table_looks_at_held_out_rows(tmp_path, split):
    before = load(tmp_path, small(), missing="category", cluster=None)
    other = small()
    rows = other["part"] == split
    other.loc[rows, "age"] = [1e6, np.nan]
    other.loc[rows, "ward"] = "new"
    after = load(tmp_path, other, missing="category")
    assert after.columns == before.columns
    held = np.array(other["part"] != split)
    assert np.array_equal(after.inputs[held], before.inputs[held])
    assert any("no training row has (new)" in note for note in after.notes)


def test_csv_and_parquet_are_the_same_table(csv, tmp_path, planted_hospitals):
    parquet = planted_hospitals.write_hospitals(tmp_path / "hospitals.parquet")
    assert table(csv).load().digest == table(parquet).load().digest


def test_the_digest_covers_values_roles_and_draws(csv, tmp_path, frame):
    first = table(csv).load().digest
    changed = frame.copy()
    changed.loc[3, "noise"] += 1e-3
    others = [
        table(written(tmp_path, changed)),
        table(csv, seed=1),
        table(csv, leave_out=["noise"]),
        table(csv, classes=["yes", "no"]),
        table(csv, standardise=False),
    ]
    assert len({first, *(each.load().digest for each in others)}) == 6
    assert table(csv).load().digest == first


def test_categories_are_ordered_by_size_then_by_letter(tmp_path):
    data = load(tmp_path, small(age=[10, 9, 2] * 4), categorical=["age"])
    assert data.column("age").categories == ("2", "9", "10")
    assert data.inputs[1, data.column("age").slots].tolist() == [0.0, 1.0, 0.0]


def test_names_that_look_like_numbers_keep_their_spelling(tmp_path):
    data = load(tmp_path, small(ward=["01", "1", "001"] * 4), categorical=["ward"])
    assert sorted(data.column("ward").categories) == ["001", "01", "1"]


def test_values_encode_and_decode(tmp_path):
    data = load(tmp_path, small())
    ward, age = data.column("ward"), data.column("age")
    assert ward.encode("c").tolist() == [0.0, 0.0, 1.0]
    assert float(age.encode(30)[0]) == pytest.approx(float(data.inputs[3, 0]), rel=1e-6)
    assert ward.decode(data.inputs[:, ward.slots].double().numpy()).tolist() == ["a", "b", "c"] * 4
    for column, value, said in (
        (ward, "d", "no such category 'd'; valid: a, b, c"),
        (age, "old", "'old' is no number"),
    ):
        with pytest.raises(ConfigError, match=said):
            column.encode(value)
    with pytest.raises(ConfigError, match="no such column 'aeg'; did you mean 'age'"):
        data.column("aeg")


HOLED = {"age": [0.0, None, *(np.arange(2, 12) * 10.0)], "ward": ["a", "b", None] * 4}


def test_missing_values_are_refused_unless_the_request_says_what_they_are(tmp_path):
    with pytest.raises(DataError, match=r"column 'age' lacks 1 of 12 values; data.missing: drop .*, mean and category"):
        load(tmp_path, small(**HOLED))
    with pytest.raises(DataError, match=r"column 'ward' lacks 4 of 12 values; data.missing: drop .*, category tells"):
        load(tmp_path, small(**HOLED), missing="mean")
    with pytest.raises(DataError, match=r"column 'y' lacks 1 of 12 values; data.missing: drop leaves such rows out$"):
        load(tmp_path, small(y=[None, *(["yes", "no"] * 6)[:11]]), missing="category")


def test_rows_with_missing_values_can_be_left_out(tmp_path):
    data = load(tmp_path, small(**HOLED), missing="drop")
    assert len(data.labels) == 7
    assert data.notes[0] == "5 of 12 rows lack a value and are left out: 1 of age, 4 of ward."


def test_missing_numbers_get_the_training_mean(tmp_path):
    data = load(tmp_path, small(age=HOLED["age"]), missing="mean")
    assert float(data.inputs[1, 0]) == pytest.approx(0.0, abs=1e-7)
    assert data.column("age").mean == pytest.approx(np.mean([0, 20, 30, 40, 50]))


def test_missing_values_can_be_inputs_of_their_own(tmp_path):
    data = load(tmp_path, small(**HOLED), missing="category")
    assert [name for c in data.columns for name in c.inputs] == [
        "age", "age (missing)", "ward=(missing)", "ward=a", "ward=b"
    ]  # fmt: skip
    assert data.inputs[:, 1].tolist() == [0.0, 1.0] + [0.0] * 10
    assert data.column("age").decode(data.inputs[:, data.column("age").slots].double().numpy())[1] is None


def test_what_a_missing_value_is_can_be_said(tmp_path):
    frame = small(ward=["NA", "b", "c"] * 4, age=[-1, *range(1, 12)])
    data = load(tmp_path, frame, missing_values=["-1"], missing="mean")
    assert data.column("ward").categories == ("NA", "b", "c")
    assert float(data.inputs[0, 0]) == pytest.approx(0.0, abs=1e-7)


WRONG = {
    "no such label": ({"label": "sik"}, r"label: no such column 'sik'; did you mean 'sick'\? valid: batch, hospital"),
    "no such column": ({"columns": ["marker", "batsch"]}, "columns: no such column 'batsch'; did you mean 'batch'"),
    "no such domain": ({"ood_domain": "wset"}, "ood_domain: no such domain 'wset'; did you mean 'west'"),
    "no such cluster": ({"cluster": "patients"}, "cluster: no such column 'patients'; did you mean 'patient'"),
    "no such class": ({"classes": ["no", "yess"]}, "classes: no such class 'yess'; did you mean 'yes'"),
    "two roles of a domain": ({"val_domain": "west"}, "the domain 'west' has two roles"),
    "nothing to train on": ({"train_domains": ["west"]}, "the domain 'west' has two roles"),
    "no column left": (
        {"leave_out": ["marker", "batch", "noise", "ward"]},
        "no column is left for the model to see; columns: patient",
    ),
    "a class alone": ({"classes": ["yes"]}, "the training split has the single class 'yes'"),
    "not categorical": ({"categorical": ["patient"]}, "categorical: the model does not see 'patient'"),
    "an id as a column": ({"cluster": None}, r"column 'patient' has 240 different texts, .*data.leave_out=\[patient\]"),
    "too many": ({"n_train": 4000}, r"n_train: 4000 are asked for, there are \d+"),
    "a split that is none": ({"split": "ward", "val_domain": None, "ood_domain": None}, "the column 'ward' has 'a'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_names_are_refused_with_the_nearest(csv, case):
    changes, said = WRONG[case]
    with pytest.raises(DataError, match=said):
        table(csv, **changes).load()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"domain": "sick"}, "Table.domain: the column 'sick' is already the label"),
        ({"columns": ["sick"]}, "Table.columns: 'sick' is the label"),
        ({"domain": None}, "Table.val_domain: name the column of domains"),
        ({"split": "part"}, "Table.val_domain: the column 'part' says the splits"),
        ({"missing": "ignore"}, "no such choice 'ignore'"),
    ],
)
def test_roles_that_contradict_each_other_are_refused_before_anything_is_read(changes, said):
    with pytest.raises(ConfigError, match=said):
        table("nowhere.csv", **changes)


FILES = {
    "ragged": ("a,b,y\n1,2,x\n1,2\n", "line 3 has 2 fields, the header has 3"),
    "long": ("a,b,y\n1,2,x\n1,2,y,4\n", "line 3 has 4 fields"),
    "semicolons": ("a;b;y\n1;2;x\n", "fields must be separated by ','"),
    "two names": ("a,a,y\n1,2,x\n", "two columns are named 'a'"),
    "empty": ("", "its first line must name the columns"),
    "no rows": ("a,b,y\n", "has no rows"),
    "almost numbers": ("a,y\n1,x\n2,y\n3,x\n12 mg,y\n", "column 'a' holds numbers, but also '12 mg'"),
    "no name": (",a,y\n0,1,x\n1,2,y\n", "column 1 has no name"),
    "huge": ("a,y\n1e300,x\n2,y\n3,x\n-4e301,y\n", "column 'a' has values beyond"),
    "a quantity": (
        "a,y\n" + "".join(f"{k},{k}.5\n" for k in range(30)),
        "label: 'y' holds 30 different numbers with fractions",
    ),
    "infinite": ("a,y\n1,x\ninf,y\n3,x\n4,y\n", "column 'a' has infinite values"),
}


@pytest.mark.parametrize("case", FILES)
def test_unfit_files_are_refused_in_one_line(tmp_path, case):
    text, said = FILES[case]
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        Table(path=str(tmp_path / "t.csv"), label="y", id_val_share=0.5).load()


def test_other_files_are_refused(tmp_path):
    (tmp_path / "t.xlsx").write_text("")
    (tmp_path / "t.parquet").write_text("no parquet")
    (tmp_path / "t.csv").write_bytes("a,y\n\xe4,1\n".encode("latin-1"))
    for name, said in (
        ("t.xlsx", "unknown kind '.xlsx'"),
        ("t.parquet", "damaged or not a parquet file"),
        ("t.csv", "UTF-8"),
        ("gone.csv", "no such file"),
    ):
        with pytest.raises(DataError, match=said):
            Table(path=str(tmp_path / name), label="y").load()


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_file_larger_than_memory_is_refused_before_it_is_read(tmp_path, monkeypatch, name, planted_hospitals):
    file = planted_hospitals.write_hospitals(tmp_path / name)
    monkeypatch.setattr(files, "MOST_OF_MEMORY", 1e-9)
    with pytest.raises(DataError, match=r" in memory, more than half of this machine's \d+ GiB"):
        table(file).load()


def test_lists_and_dates_are_no_columns(tmp_path):
    frame = small(age=[[1, 2]] * 12)
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"age: holds list<.*>; columns hold numbers or texts"):
        Table(path=str(tmp_path / "t.parquet"), label="y", split="part").load()
    small(age=pd.date_range("2026-01-01", periods=12)).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="age: holds timestamp"):
        Table(path=str(tmp_path / "t.parquet"), label="y", split="part").load()


def test_what_is_not_independent_is_said(csv, tmp_path):
    assert "No column of clusters is named" in table(csv, cluster=None, leave_out=["patient"]).load().notes[0]
    frame = small(who=["p1", "p2"] * 6)
    (note, *_) = load(tmp_path, frame, cluster="who").notes
    assert note.startswith("2 clusters (who) have rows in the split id_val and in train")


def test_names_with_blanks_around_them_are_said(tmp_path):
    data = load(tmp_path, small(y=["no", "yes", "yes "] * 4), cluster=None)
    assert data.class_names == ("no", "yes", "yes ")
    assert data.notes[0] == "Column y: 'yes ' begins or ends with a blank, so it is another name than without."


def test_a_column_that_never_changes_is_said(tmp_path):
    data = load(tmp_path, small(age=[3.0] * 12))
    assert any("Column age: is the same in all training rows" in note for note in data.notes)
    assert not data.inputs[:, 0].any()


def test_training_rows_can_be_fewer_and_balanced(csv):
    data = table(csv, n_train=20, balance=True).load()
    rows = data.rows("train")
    assert len(rows) == 20
    cells = np.unique(np.stack([data.domains[rows], data.labels[rows]]), axis=1, return_counts=True)[1]
    assert cells.tolist() == [5, 5, 5, 5]


def test_a_table_without_domains_or_ood(csv):
    data = table(csv, domain=None, val_domain=None, ood_domain=None, leave_out=["hospital"]).load()
    assert set(data.splits) == {"train", "id_val", "val"}
    assert data.domain_names == ("all",)


def test_lengths_and_splits_must_fit(tmp_path):
    data = load(tmp_path, small())
    for change, said in (
        ({"labels": data.labels[1:]}, "11 labels, but 12 inputs"),
        ({"splits": {"val": data.rows("val")}}, "no split train"),
        ({"splits": {**data.splits, "ood": data.rows("ood")[:0]}}, "the split 'ood' has no row"),
    ):
        with pytest.raises(DataError, match=said):
            dataclasses.replace(data, **change)


def test_the_fields_of_a_table_are_checked_without_pandas_or_torch():
    code = (
        "import sys; from paribus.subjects.tables.table import Table; Table(path='a.csv', label='y'); "
        "assert not {'torch', 'pandas', 'pyarrow', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_class_that_no_training_row_has_is_named(tmp_path):
    (note,) = (one for one in load(tmp_path, small(y=["no", "yes"] * 5 + ["maybe", "no"])).notes if "learned" in one)
    assert note == "No training example has the class maybe, so it is not learned; 1 of 2 of ood have it."
    ids = load(tmp_path, small(y=[f"id{k:02}" for k in range(12)])).notes
    assert any("has the classes id06, id07" in one and "2 of 2 of val, 2 of 2 of ood have one" in one for one in ids)
    assert not any("learned" in one for one in load(tmp_path, small()).notes)
