"""Pairs of prompts: their tokens, targets, named positions and splits, from text with a tokenizer and from ids."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError, DataError
from paribus.experiments.any.patch.spec import Patch
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.factors._vectors import bound_place, vectors
from paribus.factors.spec import Patch as PatchFactor
from paribus.measure import Executor
from paribus.stats.spec import StatsSpec
from paribus.subjects.tokens.prompt_pairs import PromptPairs
from paribus.subjects.tokens.prompts import marked
from paribus.subjects.tokens.subject import TokenSubject
from paribus.subjects.tokens.text_table import TextTable

WORDS = [
    *("[UNK]", "the", "Eiffel", "Tower", "Colosseum", "Big", "Ben", "is", "in", "a", "city", "named"),
    *("Paris", "Rome", "London", "near", "river"),
]
AT = {word: number for number, word in enumerate(WORDS)}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A folder with a tokenizer of sixteen words."""
    if importlib.util.find_spec("transformers") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("transformers is missing; make install-text")
    import tokenizers
    import transformers

    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(AT, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    place = tmp_path_factory.mktemp("tokenizer")
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]").save_pretrained(place)
    return str(place)


def jsonl(tmp_path, rows):
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return str(file)


def ids(text):
    return [AT[word] for word in text.split()]


TEXT = [
    {
        "clean": "the {subject:Eiffel Tower} is in",
        "corrupted": "the {subject:Big Ben} is in",
        "answer": "Paris",
        "wrong": ["London", "Rome"],
        "cluster": "a",
        "split": "test",
    },
    {
        "template": "a {subject} is in the city near",
        "clean_subject": "Big Ben",
        "corrupted_subject": "Eiffel Tower",
        "answer": "London",
        "wrong": "Paris",
        "cluster": "b",
        "split": "train",
    },
]


@pytest.mark.parametrize("padding", ["left", "right"])
def test_text_becomes_pairs_with_named_positions(tmp_path, tokenizer, padding):
    data = PromptPairs(path=jsonl(tmp_path, TEXT), tokenizer=tokenizer, padding=padding).load()
    expected = [
        *(ids("the Eiffel Tower is in"), ids("a Big Ben is in the city near")),
        *(ids("the Big Ben is in"), ids("a Eiffel Tower is in the city near")),
    ]
    for row, own in enumerate(expected):
        assert data.ids[row][data.mask[row].bool()].tolist() == own
    assert data.pairs.tolist() == [[0, 2], [1, 3]] and data.n_tokens == len(WORDS)
    assert {name: rows.tolist() for name, rows in data.splits.items()} == {
        "test": [0], "train": [1], "test_corrupted": [2], "train_corrupted": [3],
    }  # fmt: skip
    assert data.clusters.tolist() == [0, 1, 0, 1]
    assert data.targets.ids[:, 0].tolist() == ids("Paris London Paris London"), "that to the clean one, both times"
    assert data.targets.against.tolist()[0] == ids("London Rome") and data.targets.against.tolist()[1] == [
        AT["Paris"],
        -1,
    ]
    subject = TokenSubject(data)
    named = {
        name: [data.ids[row][table[row]].tolist() for row in range(4)] for name, table in subject.positions.items()
    }
    assert named["subject"] == [ids("Eiffel Tower"), ids("Big Ben"), ids("Big Ben"), ids("Eiffel Tower")]
    assert named["subject.first"][0] == ids("Eiffel") and named["subject.last"][0] == ids("Tower")
    assert named["end"] == [ids("in"), ids("near"), ids("in"), ids("near")]
    assert subject.paired() is subject


def test_a_csv_file_with_one_template_says_the_same_as_its_prompts_written_out(tmp_path, tokenizer):
    file = tmp_path / "pairs.csv"
    with file.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["clean_subject", "corrupted_subject", "answer", "wrong", "where"])
        writer.writerow(["Eiffel Tower", "Big Ben", "Paris", "London|Rome", "in"])
    template = "the {subject} is {where}"
    data = PromptPairs(path=str(file), tokenizer=tokenizer, template=template).load()
    written = PromptPairs(path=jsonl(tmp_path, [TEXT[0]]), tokenizer=tokenizer).load()
    assert data.ids.equal(written.ids) and set(data.positions) == {
        f"{name}{end}" for name in ("subject", "where") for end in ("", ".first", ".last")
    }
    assert data.targets.against.tolist() == written.targets.against.tolist()


def test_a_file_of_ids_needs_no_tokenizer(tmp_path):
    rows = [
        {"clean": [5, 6, 7], "corrupted": [5, 8, 7], "answer": 1, "wrong": [2], "positions": {"name": 1}},
        {"clean": [3, 4], "corrupted": [3, 9], "answer": 2, "wrong": [1], "positions": {"name": [1]}},
    ]
    data = PromptPairs(path=jsonl(tmp_path, rows), n_tokens=12, first=0).load()
    assert data.ids[0].tolist() == [0, 5, 6, 7] and data.ids[1].tolist() == [0, 0, 3, 4]
    assert data.mask[1].tolist() == [0, 1, 1, 1] and data.positions["name"][:2].tolist() == [[2], [3]]
    assert list(data.splits) == ["test", "test_corrupted"] and len(set(data.clusters[:2])) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"corrupted": "the {subject:Colosseum} is in"}, "clean prompt has 5 tokens, the corrupted one 4"),
        ({"corrupted": "the {subject:Eiffel Tower} is in"}, "are the same tokens"),
        ({"corrupted": "the {subject:} Big Ben is in"}, "holds no token"),
        ({"corrupted": "the Big Ben is in"}, "'subject' is named in some prompts and not in others"),
        ({"corrupted": "the {subject Big Ben is in"}, "a brace stands alone"),
        ({"corrupted": "the {subject} is in"}, "nothing fills {subject}; give a column corrupted_subject"),
        ({"answer": "Eiffel Tower"}, r"must be a single token, it is 2 \('Eiffel', 'Tower'\)"),
        ({"wrong": "Paris"}, "answer is among the wrong ones"),
        ({"split": "test_corrupted"}, "must not end with"),
        ({"answer": None}, "has no answer"),
        ({"clean": None}, "no clean prompt and no template"),
    ],
)
def test_what_is_no_pair_is_refused_with_its_line(tmp_path, tokenizer, change, message):
    row = {name: value for name, value in {**TEXT[0], **change}.items() if value is not None}
    with pytest.raises(DataError, match=message) as caught:
        PromptPairs(path=jsonl(tmp_path, [row]), tokenizer=tokenizer).load()
    assert "pairs.jsonl" in str(caught.value)


def test_what_cannot_be_read_is_refused(tmp_path, tokenizer):
    with pytest.raises(ConfigError, match="name the folder or GGUF file"):
        PromptPairs(path="pairs.csv")
    with pytest.raises(DataError, match="none: needs a tokenizer.json, a .gguf file, or the folder"):
        PromptPairs(path=jsonl(tmp_path, TEXT), tokenizer=str(tmp_path / "none")).load()
    with pytest.raises(DataError, match="must be a list of token ids where there is no tokenizer"):
        PromptPairs(path=jsonl(tmp_path, TEXT), n_tokens=9).load()
    (tmp_path / "latin.jsonl").write_bytes('{"clean": "Zürich"}'.encode("latin-1"))
    with pytest.raises(DataError, match="latin.jsonl: not a readable file of JSON lines in UTF-8"):
        PromptPairs(path=str(tmp_path / "latin.jsonl"), tokenizer=tokenizer).load()
    (tmp_path / "pairs.csv").write_text("clean,corrupted,answer\na,b\n")
    with pytest.raises(DataError, match="line 2 has 2 fields, the header has 3"):
        PromptPairs(path=str(tmp_path / "pairs.csv"), tokenizer=tokenizer).load()


def test_a_text_is_the_same_tokens_in_a_table_of_texts_and_in_a_pair(tmp_path, tokenizer):
    clean, corrupted = "the Eiffel Tower is in", "a Big Ben is near the"
    rows = [{"clean": one, "corrupted": corrupted, "answer": "Paris"} for one in (clean, clean[::-1], "Rome")]
    tables = [{"text": one["clean"], "label": "ab"[k % 2], "split": "train"} for k, one in enumerate(rows)]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, tables)))
    for named in (tokenizer, f"{tokenizer}/tokenizer.json"):
        asked = PromptPairs(path=jsonl(tmp_path, rows), tokenizer=named, padding="right", unequal="keep")
        texts = TextTable(path=str(tmp_path / "texts.jsonl"), tokenizer=named, split="split")
        pairs, table = asked.load(), texts.load()
        for row in range(3):
            read = pairs.ids[row][pairs.mask[row] > 0]
            assert read.tolist() == table.ids[row][table.mask[row] > 0].tolist() and len(read)
        assert pairs.n_tokens == table.n_tokens and asked.input_files()["path"].name == "pairs.jsonl"


def test_an_answer_follows_the_prompt_and_not_the_token_that_ends_texts(tmp_path, tokenizer):
    """``</s>`` of XLM-R and T5, ``[SEP]`` of BERT: what is asked for after it is no answer to the prompt."""
    import tokenizers

    vocabulary = {"<s>": 0, "</s>": 1, "▁in": 2, "▁near": 3, "Rome": 4, "▁Rome": 5, "▁Paris": 6, "▁": 7}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="▁"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="never")
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    found = {}
    for answer in (" Rome", "Rome"):
        row = {"clean": " in", "corrupted": " near", "answer": answer, "wrong": " Paris"}
        found[answer] = PromptPairs(path=jsonl(tmp_path, [row]), tokenizer=str(tmp_path / "tokenizer.json")).load()
        assert found[answer].ids.tolist() == [[0, 2], [0, 3]]
        assert TokenSubject(found[answer]).positions["end"].tolist() == [[1], [1]]
        assert found[answer].notes[0] == (
            "The tokenizer ends texts with </s>; it is left out of the prompts, which the answer follows."
        )
    blank, bare = found[" Rome"], found["Rome"]
    assert (blank.targets.ids == 5).all() and len(blank.notes) == 1
    assert (bare.targets.ids == 4).all() and "answers of 1 of 1 pairs are written without a blank" in bare.notes[1]
    assert not PromptPairs(path=jsonl(tmp_path, [TEXT[0]]), tokenizer=tokenizer).load().notes


def test_a_folder_of_vocabularies_is_a_tokenizer_and_all_its_files_count(tmp_path, needs_text):
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "paris", "rome"]))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "texts.csv").write_text("text,label,split\nParis,a,train\nRome Paris,b,train\n")
    asked = TextTable(path=str(tmp_path / "texts.csv"), tokenizer=str(tmp_path), split="split")
    assert asked.load().ids.tolist() == [[2, 5, 3, 0], [2, 6, 5, 3]]
    assert set(asked.input_files()) == {"path", "vocab.txt", "config.json"}


def test_where_files_beside_the_tokenizer_say_otherwise_it_is_said(tmp_path, tokenizer):
    shutil.copytree(tokenizer, tmp_path / "other")
    settings = {"add_bos_token": True, "add_eos_token": False, "do_lower_case": True}
    (tmp_path / "other" / "tokenizer_config.json").write_text(json.dumps(settings))
    notes = PromptPairs(path=jsonl(tmp_path, TEXT), tokenizer=str(tmp_path / "other")).load().notes
    assert [note.split(" says ")[1].split(",")[0] for note in notes] == ["add_bos_token=true", "do_lower_case=true"]
    assert not PromptPairs(path=jsonl(tmp_path, TEXT), tokenizer=tokenizer).load().notes


def test_braces_and_repeated_names_are_kept():
    text, spans = marked("{{{a:x} and {a}}}", {"a": "yy"}, "clean", "here")
    assert text == "{x and yy}" and [text[start:stop] for start, stop in spans["a"]] == ["x", "yy"]


class Mean(nn.Module):
    """Scores tokens from the mean of all that are read, from a stream that can be patched."""

    def __init__(self, n_tokens, **_):
        super().__init__()
        self.table = nn.Parameter(torch.randn(n_tokens, n_tokens, generator=torch.Generator().manual_seed(0)))
        self.stream = nn.Identity()

    def forward(self, tokens, attention_mask=None, position_ids=None):
        mask = torch.ones_like(tokens) if attention_mask is None else attention_mask
        x = self.stream(self.table[tokens]) * mask[:, :, None]
        return (x.sum(1) / mask.sum(1, keepdim=True))[:, None].expand(-1, tokens.shape[1], -1)


def pairs(n, rng):
    """Return pairs of ids that differ in two tokens, standing at another place in each."""
    rows = []
    for _ in range(n):
        at = int(rng.integers(1, 4))
        clean = rng.integers(1, 12, 6).tolist()
        corrupted = clean.copy()
        corrupted[at : at + 2] = [(one % 11) + 1 for one in clean[at : at + 2]]
        answer, wrong = rng.permutation(12)[:2].tolist()
        rows.append(
            {
                "clean": clean,
                "corrupted": corrupted,
                "answer": answer,
                "wrong": wrong,
                "positions": {"subject": [at, at + 1]},
            }
        )
    return rows


def test_patching_the_named_positions_of_all_that_differs_gives_the_whole_difference(tmp_path):
    data = PromptPairs(path=jsonl(tmp_path, pairs(12, np.random.default_rng(0))), n_tokens=12).load()
    stats = StatsSpec(n_null=0, n_bootstrap=200, n_permutations=99)
    setup = NetworkSetup(seed=0, stats=stats, contexts=TokenSubject(data), network=Mean(12), data=data)
    places = ["stream@subject", "stream@subject.last", "stream@end"]
    donors = PatchFactor(donors="split", split="test")
    recorder = MemoryRecorder()
    perform(Patch(factor=donors, places=places, split="test_corrupted"), setup, recorder)
    frame = recorder.tables["effects"].frame.set_index(["direction", "level"])
    for direction in ("test -> test_corrupted", "test_corrupted -> test"):
        whole, last = (frame.loc[(direction, f"stream@{name}")] for name in ("subject", "subject.last"))
        assert whole["mean_delta"] == pytest.approx(whole["total"], abs=1e-6) and abs(whole["total"]) > 1e-3
        assert abs(last["mean_delta"] - whole["mean_delta"]) > 0.01
        assert frame.loc[(direction, "stream@end"), "mean_delta"] == 0, "both prompts end with the same token"


def test_a_position_that_is_padding_somewhere_has_a_name_or_is_refused(tmp_path):
    rows = [
        {"clean": [5, 6, 7], "corrupted": [5, 8, 7], "answer": 1},
        {"clean": [3, 4], "corrupted": [3, 9], "answer": 2},
    ]
    data = PromptPairs(path=jsonl(tmp_path, rows), n_tokens=12, padding="right").load()
    executor = Executor(Mean(12), TokenSubject(data))
    with pytest.raises(ConfigError, match="position -1 is padding in 2 of 4 sequences"):
        bound_place("stream[pos=-1]", executor)
    with pytest.raises(ConfigError, match="position 7 sequences have 3 positions"):
        bound_place("stream[pos=7]", executor)
    with pytest.raises(ConfigError, match="no position named 'subject'"):
        bound_place("stream@subject", executor)
    table = Mean(12).table
    found = vectors(executor, bound_place("stream@end", executor), np.arange(4))
    np.testing.assert_allclose(found, table[[7, 4, 7, 9]].detach().numpy(), rtol=1e-6)
