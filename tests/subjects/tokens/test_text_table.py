"""Texts of a file: their roles, their tokens, what is said of them, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from paribus.errors import ConfigError, DataError
from paribus.subjects.tokens import tokenizer as tokenizing
from paribus.subjects.tokens.kind import TOKENS
from paribus.subjects.tokens.subject import TokenSubject
from paribus.subjects.tokens.text_table import TextTable
from paribus.subjects.tokens.texts import paired_classes

ROLES = {
    "text": "letter", "label": "outcome", "domain": "hospital", "cluster": "patient", "val_domain": "east",
    "ood_domain": "west",
}  # fmt: skip


@pytest.fixture(scope="module")
def frame(planted_letters):
    return planted_letters.letters(n_patients=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_encoder, frame, needs_text):
    made = tiny_encoder.write_tokenizer(tmp_path_factory.mktemp("letters"), frame["letter"])
    frame.to_csv(made / "letters.csv", index=False)
    return made


def table(folder, name="letters.csv", **changes):
    return TextTable(**{"path": str(folder / name), "tokenizer": str(folder), **ROLES, **changes})


def words(folder, ids):
    known = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    names = {number: word for word, number in known.items()}
    return " ".join(names[int(one)] for one in ids)


def test_texts_keep_their_roles_and_their_words(folder, frame):
    data = table(folder).load()
    assert [data.domain_names[k] for k in data.domains] == frame["hospital"].tolist()
    assert [data.class_names[k] for k in data.labels] == frame["outcome"].tolist()
    assert [data.cluster_names[k] for k in data.clusters] == frame["patient"].tolist()
    of = {name: {data.domain_names[k] for k in data.domains[rows]} for name, rows in data.splits.items()}
    assert of == {"train": {"north", "south"}, "id_val": {"north", "south"}, "val": {"east"}, "ood": {"west"}}
    for row in (0, 40, 95):
        read = data.ids[row][data.mask[row] > 0]
        assert words(folder, read).replace(" ", "") == f"[CLS]{frame['letter'][row]}[SEP]".replace(" ", "")
        assert (data.ids[row][data.mask[row] == 0] == 0).all()
    assert data.offers.domains["train"] == ("north", "south") and not data.offers.rendering
    assert data.notes == ()


@pytest.mark.parametrize("name", ["letters.jsonl", "letters.parquet"])
def test_other_kinds_of_files_hold_the_same(folder, frame, name):
    file = folder / name
    frame.to_parquet(file) if file.suffix == ".parquet" else frame.to_json(file, orient="records", lines=True)
    assert table(folder, name).load().digest == table(folder).load().digest


def test_what_is_longer_loses_its_end_and_it_is_said(folder):
    data = table(folder, max_length=16).load()
    assert data.ids.shape[1] == 16
    assert any("texts have more than 16 tokens and lost their end" in note for note in data.notes)
    full = data.mask.all(1).nonzero()[0]
    assert words(folder, data.ids[full[0]]).endswith("[SEP]")


def test_a_held_out_text_that_is_a_training_text_is_said(folder, frame):
    twice = frame.assign(split=["train", "id_val"] * (len(frame) // 2))
    twice.loc[1, "letter"] = twice.loc[0, "letter"]
    twice.to_csv(folder / "twice.csv", index=False)
    asked = table(folder, "twice.csv", split="split", val_domain=None, ood_domain=None)
    data = asked.load()
    assert f"1 of {len(frame) // 2} texts of the split id_val are texts of train, word for word." in data.notes
    assert any("have rows in the split id_val and in train" in note for note in data.notes)


def test_a_text_is_shown_as_another_hospital_would_write_it(folder, frame):
    data = table(folder, renderings="as_").load()
    assert data.offers.rendering
    # north has more who are ill, south more who are well; classes are (ill, well)
    assert data.paired_class == {data.domain_names.index("north"): 0, data.domain_names.index("south"): 1}
    subject = TokenSubject(data)
    rows = np.array([3, 50])
    for number, hospital in enumerate(data.domain_names):
        ids, mask = subject.in_style(subject.cells(rows), number).values
        for at, row in enumerate(rows):
            shown = words(folder, ids[at][mask[at] > 0]).replace(" ", "")
            assert shown == f"[CLS]{frame[f'as_{hospital}'][row]}[SEP]".replace(" ", "")
            if frame["hospital"][row] == hospital:
                assert (ids[at] == subject.cells(rows).values[0][at]).all()
    with pytest.raises(ConfigError, match="no texts as the domain 0"):
        TokenSubject(table(folder).load()).in_style(subject.cells(rows), 0)


def test_texts_are_paired_with_one_of_another_class_which_keeps_its_own_hospital(folder):
    data = table(folder, renderings="as_").load()
    subject = TokenSubject(data).paired()
    clean, corrupted = subject.pairs.T
    assert subject.data.ids[clean].equal(data.ids) and (subject.label[corrupted] == data.labels).all()
    texts = {one.numpy().tobytes(): row for row, one in enumerate(data.ids)}
    source = np.array([texts[subject.data.ids[one].numpy().tobytes()] for one in corrupted])
    assert (data.labels[source] != data.labels).all()
    for number in range(len(data.domain_names)):
        shown = subject.in_style(subject.cells(corrupted), number).values[0]
        assert (shown == data.renderings[number][0][source].numpy()).all()
    assert (subject.domain[corrupted] == data.domains[source]).all()


def test_a_class_goes_with_a_domain_by_clusters():
    labels, domains = np.array([0, 1] * 30 + [1] * 60), np.repeat([0, 1], 60)
    rows = np.arange(120)
    assert paired_classes(labels, domains, rows, rows) == {0: 0, 1: 1}
    two_patients = np.repeat(np.arange(4), 30)
    assert paired_classes(labels, domains, two_patients, rows) == {0: None, 1: None}


def test_letters_that_were_trained_on_are_known_in_another_file(folder, frame):
    data = table(folder).load()
    moved = frame.assign(patient=["x" + name for name in frame["patient"]], split="ood")
    moved.loc[0, "split"] = "train"
    moved.loc[1, ["split", "outcome"]] = ["train", "well" if moved.loc[0, "outcome"] == "ill" else "ill"]
    moved.to_csv(folder / "moved.csv", index=False)
    other = table(folder, "moved.csv", split="split", val_domain=None, ood_domain=None).load()
    counts = frame["letter"].value_counts()
    once = sum(counts[frame["letter"][row]] == 1 and row > 1 for row in data.splits["train"])
    assert TOKENS.overlap(data, other).same == {"ood": once}
    assert TOKENS.unlike(data, other) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": "leter"}, "text: no such column 'leter'; did you mean 'letter'"),
        ({"label": "sick"}, "label: no such column 'sick'"),
        ({"ood_domain": "wset"}, "ood_domain: no such domain 'wset'; did you mean 'west'"),
        ({"renderings": "like_"}, "renderings: no such column 'like_east'"),
        ({"tokenizer": "nowhere"}, "data.tokenizer=nowhere: needs a tokenizer.json"),
        ({"path": "nowhere.csv"}, "nowhere.csv: no such file"),
    ],
)
def test_what_is_not_there_is_one_clear_line(folder, changes, said):
    with pytest.raises(DataError) as refused:
        table(folder, **changes).load()
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_what_cannot_be_is_refused_before_anything_is_read(folder, tmp_path):
    with pytest.raises(ConfigError, match="TextTable.label: the column 'letter' is already the text"):
        table(folder, label="letter")
    with pytest.raises(ConfigError, match="name the column of domains"):
        table(folder, domain=None)
    with pytest.raises(DataError, match="is a folder"):
        table(folder, path=str(tmp_path)).input_files()
    assert set(table(folder).input_files()) == {"path", "tokenizer"}
    assert table(folder).input_files()["tokenizer"].name == "tokenizer.json"


def test_a_damaged_tokenizer_and_a_missing_package_are_said(folder, tmp_path, monkeypatch):
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(DataError, match="is no tokenizer"):
        table(folder, tokenizer=str(tmp_path)).load()
    monkeypatch.setattr(tokenizing.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="needs the package tokenizers; pip install 'paribus\\[text\\]'"):
        table(folder).load()


def test_a_missing_text_is_refused_or_left_out(folder, frame):
    frame.assign(letter=[None, *frame["letter"][1:]]).to_csv(folder / "gap.csv", index=False)
    with pytest.raises(DataError, match="column 'letter' lacks 1 of 96 values; data.missing=drop"):
        table(folder, "gap.csv").load()
    data = table(folder, "gap.csv", missing="drop").load()
    assert len(data.ids) == 95 and "1 of 96 rows lack a value and are left out: 1 of letter." in data.notes


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['{"letter": "a", "letter": "b"}'], "line 1: has 'letter' twice"),
        (["[1]"], "line 1: is no JSON object"),
        (["{"], "line 1: is no JSON "),
        (['{"letter": ["a"], "outcome": "x", "hospital": "h", "patient": 1}'], "letter: holds \\['a'\\]"),
    ],
)
def test_damaged_lines_are_refused(folder, lines, said):
    (folder / "odd.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match=said):
        table(folder, "odd.jsonl", val_domain=None, ood_domain=None).load()


def test_numbers_in_lines_are_numbers_for_a_table(tmp_path):
    from paribus.subjects.columns import read_columns

    (tmp_path / "n.jsonl").write_text(
        '{"a": 1, "b": "x", "c": 1}\n{"a": null, "b": "y"}\n\n{"a": 2.5, "b": "z", "c": "q"}\n'
    )
    frame = read_columns(tmp_path / "n.jsonl", ["a", "b", "c"], texts=[], missing=[])
    assert frame["a"].dtype == np.float64 and frame["a"].isna().tolist() == [False, True, False]
    assert frame["b"].tolist() == ["x", "y", "z"] and frame["c"].tolist() == ["1", None, "q"]
    assert isinstance(frame, pd.DataFrame)
