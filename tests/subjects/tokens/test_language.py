"""Sequences for language models: targets, padding, what is read of the answers, short names of places."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import nn

from paribus.engine.short_names import layer_of, place, places
from paribus.errors import ConfigError, DataError
from paribus.experiments.any.sweep.spec import Sweep
from paribus.experiments.setup import NetworkSetup
from paribus.factors import spec
from paribus.features.logit import Logit
from paribus.measure import Executor
from paribus.measure.binding import Binding
from paribus.stats.spec import StatsSpec
from paribus.subjects.tokens.data import Targets, TokenData
from paribus.subjects.tokens.factors import TokenAt
from paribus.subjects.tokens.readouts import token_readouts
from paribus.subjects.tokens.repeated import RepeatedTokens
from paribus.subjects.tokens.subject import TokenSubject
from paribus.subjects.tokens.token_file import TokenFile

V = 11


class Tiny(nn.Module):
    """Scores the next token from the mean of those before, with a mark for each position."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = nn.Parameter(torch.randn(V, V, generator=generator))
        self.stream = nn.Identity()

    def forward(self, ids, attention_mask=None, position_ids=None):
        mask = torch.ones_like(ids) if attention_mask is None else attention_mask
        position_ids = torch.arange(ids.shape[1]).expand_as(ids) if position_ids is None else position_ids
        x = self.stream(self.table[ids] * (1 + position_ids[:, :, None])) * mask[:, :, None]
        return x.cumsum(1) / mask.cumsum(1).clamp(min=1)[:, :, None]


def written(tmp_path, lines):
    file = tmp_path / "ids.jsonl"
    file.write_text("\n".join(json.dumps(line) if isinstance(line, dict) else line for line in lines))
    return str(file)


LINES = [
    {"ids": [1, 2, 3, 4], "answer": 5, "against": [6, 7], "cluster": "a", "split": "test"},
    {"ids": [8, 9], "answer": 1, "against": [2], "cluster": "b", "split": "test"},
    {"ids": [3, 3, 3], "answer": 4, "against": [9], "cluster": "a", "split": "train"},
]


def read(data, network=None):
    executor = Executor(Tiny() if network is None else network, TokenSubject(data), batch_limit=2)
    rows = np.arange(len(data.ids))
    cells = executor.subject.cells(rows)
    return {name: executor.read(cells, rows, make(executor))[0][0] for name, make in token_readouts(data).items()}


@pytest.mark.parametrize("padding", ["left", "right"])
def test_what_is_read_of_padded_sequences_is_that_of_each_alone(tmp_path, padding):
    data = TokenFile(path=written(tmp_path, LINES), n_tokens=V, padding=padding).load()
    assert {name: rows.tolist() for name, rows in data.splits.items()} == {"test": [0, 1], "train": [2]}
    assert data.clusters.tolist() == [0, 1, 0]
    found = read(data)
    assert next(iter(token_readouts(data))) == "logit_difference"
    for row, line in enumerate(LINES):
        logits = Tiny()(torch.tensor([line["ids"]]))[0, -1].detach().double().numpy()
        right, wrong = logits[line["answer"]], logits[line["against"]].mean()
        assert found["logit_difference"][row] == pytest.approx(right - wrong, rel=1e-5)
        assert found["loss"][row] == pytest.approx(-log_softmax(logits)[line["answer"]], rel=1e-5)
        assert found["correct"][row] == (logits.argmax() == line["answer"])
        assert found["kl"][row] == pytest.approx(0, abs=1e-6), "nothing is edited"


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@pytest.mark.parametrize("padding", ["left", "right"])
def test_a_transformer_answers_padded_sequences_like_each_alone(tmp_path, architecture, padding):
    if importlib.util.find_spec("transformers") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("transformers is missing; make install-text")
    import transformers

    torch.manual_seed(0)
    if architecture == "gpt2":
        config = transformers.GPT2Config(vocab_size=V, n_positions=16, n_embd=8, n_layer=2, n_head=2)
        network = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.LlamaConfig(
            vocab_size=V, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2
        )
        network = transformers.LlamaForCausalLM(config)
    network.eval().config.use_cache = False
    data = TokenFile(path=written(tmp_path, LINES), n_tokens=V, padding=padding).load()
    found = read(data, network)["loss"]
    for row, line in enumerate(LINES):
        with torch.no_grad():
            logits = network(torch.tensor([line["ids"]])).logits[0, -1].double().numpy()
        assert found[row] == pytest.approx(-log_softmax(logits)[line["answer"]], abs=1e-5)


class Counts(Tiny):
    """Counts positions itself, from 2 on, and shifts those it is given not at all (RoBERTa)."""

    def forward(self, ids, attention_mask=None, position_ids=None):
        counted = torch.arange(ids.shape[1]).expand_as(ids) + 2
        return super().forward(ids, attention_mask, counted if position_ids is None else position_ids)


class Unmasked(Tiny):
    """Reads padding like any token."""

    def forward(self, ids, attention_mask=None, position_ids=None):
        return super().forward(ids, None, position_ids)


class Unaware(Tiny):
    """Knows no mask."""

    def forward(self, ids):
        return super().forward(ids)


def test_a_network_that_reads_padded_sequences_otherwise_than_each_alone_is_refused(tmp_path):
    path = written(tmp_path, LINES)

    def refuse(network, padding):
        subject = TokenSubject(TokenFile(path=path, n_tokens=V, padding=padding).load())
        subject.refuse_network(Executor(network, subject))

    for padding in ("left", "right"):
        refuse(Tiny(), padding)
        with pytest.raises(ConfigError, match="Unaware takes no attention_mask"):
            refuse(Unaware(), padding)
    refuse(Counts(), "right")
    refuse(Unmasked(), "right")  # it is causal, so that nothing is read of what comes later
    for network in (Counts(), Unmasked()):
        with pytest.raises(
            ConfigError, match=r"another output for a padded sequence .* say data.padding=right, or use"
        ):
            refuse(network, "left")


class Vectors(Tiny):
    """An encoder: gives a vector, not a logit for every token."""

    def forward(self, ids, attention_mask=None, position_ids=None):
        return super().forward(ids, attention_mask, position_ids)[:, :, : V - 1]


def test_vectors_are_not_taken_for_logits(tmp_path):
    data = TokenFile(path=written(tmp_path, LINES), n_tokens=V).load()
    for make in token_readouts(data).values():
        with pytest.raises(
            ConfigError, match=r"Vectors gives \[1, 4, 10\] .* needs logits \[1, 4 positions, 11 tokens"
        ):
            make(Executor(Vectors(), TokenSubject(data)))


def test_values_of_other_contexts_are_those_of_contexts_as_long(tmp_path):
    """A longer context would be given padding where it goes on; padded on the left the value would be shifted."""
    rng, lengths = np.random.default_rng(0), [4, 3, 2, 4, 3, 2, 4, 3, 2]
    lines = [
        {"ids": [1, *rng.integers(1, V, length - 1).tolist()], "answer": 5, "split": "test" if row < 5 else "train"}
        for row, length in enumerate(lengths)
    ]
    found = {}
    for padding in ("left", "right"):
        data = TokenFile(path=written(tmp_path, lines), n_tokens=V, padding=padding).load()
        executor = Executor(Tiny(), TokenSubject(data))
        binding = Binding(executor, "stream", np.random.default_rng(0), {})
        units = spec.Units(ablation="resample").bound(binding)
        rows, fit = data.splits["test"], data.splits["train"]
        units.check_rows(executor.subject, rows, fit)
        edit = units.fit(executor, fit).remove(np.ones(V, bool), rows)
        edited = edit.at(slice(0, len(rows)), lambda: None).forward(executor.values("stream", rows))
        given = [value[:, data.mask[row].bool()] for row, value in zip(rows, edited, strict=True)]
        own = {one: executor.values("stream", np.array([one]))[0][:, data.mask[one].bool()] for one in fit.tolist()}
        found[padding] = [[one for one in own if torch.equal(own[one], value)] for value in given]
        with pytest.raises(DataError, match="a context of 4 positions has no donor of as many"):
            units.check_rows(executor.subject, rows, fit[data.mask[fit].sum(1).numpy() < 4])
        with pytest.raises(DataError, match=r"a different number of positions than their donor \(.*as in @end"):
            spec.Patch(donors="any").bound(binding)
    assert found["left"] == found["right"] and all(len(one) == 1 for one in found["left"])


def test_without_answers_every_next_token_is_asked_for(tmp_path):
    lines = [{"ids": line["ids"]} for line in LINES]
    data = TokenFile(path=written(tmp_path, lines), n_tokens=V, padding="left").load()
    loss = read(data)["loss"]
    for row, line in enumerate(lines):
        logits = Tiny()(torch.tensor([line["ids"]]))[0].detach().double().numpy()
        each = [-log_softmax(logits[at])[token] for at, token in enumerate(line["ids"][1:])]
        assert loss[row] == pytest.approx(np.mean(each), rel=1e-5)


def test_the_divergence_is_that_from_the_unedited_answers():
    data = RepeatedTokens(n_sequences=3, n_reference=0, length=3, n_tokens=V, lowest=1).load()
    network = Tiny()
    executor = Executor(network, TokenSubject(data))
    readout = token_readouts(data)["kl"](executor)
    edited = torch.randn(3, data.ids.shape[1], V)
    base = log_softmax(network(data.ids).detach().double().numpy(), axis=2)
    other = log_softmax(edited.double().numpy(), axis=2)
    at = data.targets.positions
    expected = [(np.exp(base[k, p]) * (base[k, p] - other[k, p])).sum(-1).mean() for k, p in enumerate(at)]
    np.testing.assert_allclose(readout.read(edited, np.arange(3))[0][0], expected, rtol=1e-4)


def test_pooled_values_leave_out_padding_and_the_first_token(tmp_path):
    path = written(tmp_path, LINES)
    for padding in ("left", "right"):
        for sink in (True, False):
            data = TokenFile(path=path, n_tokens=V, padding=padding, sink=sink).load()
            network = Tiny()
            found = Executor(network, TokenSubject(data)).vectors("stream", np.arange(3))
            for row, line in enumerate(LINES):
                alone = network.table[line["ids"]] * torch.arange(1, len(line["ids"]) + 1)[:, None]
                expected = alone[1 if sink else 0 :].mean(0).detach().numpy()
                np.testing.assert_allclose(found[row], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["no json"], "line 1: is no JSON"),
        (['{"ids": [1, 2], "answer": 3, "answer": 4}'], "line 1: has 'answer' twice"),
        ([{"ids": []}], "needs an object with whole numbers"),
        ([{"ids": [1, True]}], "needs an object with whole numbers"),
        ([{"ids": [1, 2], "answer": 1.5}], "answer must be a token id"),
        ([{"ids": [1, 2], "answer": 3}, {"ids": [1, 2]}], "1 of 2 sequences have an answer"),
        ([{"ids": [1]}], "a next one needs two"),
        ([{"ids": [1, V]}], "there are 11 tokens"),
        ([{"ids": [1, 2], "answer": V}], "there are 11 tokens"),
        ([{"ids": [1, 2], "answer": 3, "against": [V]}], "wrong answers from 11 to 11; there are 11 tokens"),
        ([{"ids": [1, 2], "against": [3]}], "line 1: against compares an answer"),
        (
            [{"ids": [1, 2], "answer": 3, "against": [4]}, {"ids": [1], "answer": 5}],
            r"1 of 2 sequences \(the first is 1",
        ),
        ([""], "holds no sequence"),
    ],
)
def test_lines_that_are_no_sequences_are_refused(tmp_path, lines, message):
    with pytest.raises(DataError, match=message):
        TokenFile(path=written(tmp_path, lines), n_tokens=V).load()


def test_a_file_in_another_encoding_is_refused(tmp_path):
    file = tmp_path / "lines.jsonl"
    file.write_bytes('{"ids": [1, 2], "cluster": "Zürich"}'.encode("latin-1"))
    with pytest.raises(DataError, match="lines.jsonl: not a readable file of JSON lines in UTF-8"):
        TokenFile(path=str(file), n_tokens=V).load()


@pytest.mark.parametrize("asked", [("output", ["5"]), ("margin", ["5"]), ("logit_difference", ["5", "6"])])
def test_a_named_output_is_none_of_a_network_that_answers_at_every_position(tmp_path, asked):
    """It was the logit at the first position, of all of them in a row."""
    kind, names = asked
    data = TokenFile(path=written(tmp_path, LINES[:1] * 2), n_tokens=V).load()
    setup = NetworkSetup(seed=0, stats=StatsSpec(n_null=0), contexts=TokenSubject(data), network=Tiny())
    with pytest.raises(ConfigError, match=rf"gives \[4, {V}\] numbers for each context.*read logit_difference, loss"):
        Sweep(factor=TokenAt(position=1), readout=kind, outputs=names).validate(setup)
    with pytest.raises(ConfigError, match=rf"outputs: \[4, {V}\] numbers for a context are no vector"):
        Sweep(factor=TokenAt(position=1)).validate(replace(setup, feature=Logit(token="5")))


def test_targets_that_do_not_fit_are_refused():
    ids = torch.zeros(2, 3, dtype=torch.long)

    def data(positions, tokens):
        targets = Targets(np.array(positions), np.array(tokens))
        return TokenData(ids, None, np.arange(2), (), {"all": np.arange(2)}, V, targets=targets)

    with pytest.raises(DataError, match="sequence 1 has no target"):
        data([[0], [-1]], [[1], [1]])
    with pytest.raises(DataError, match="after position 3"):
        data([[0], [3]], [[1], [1]])
    assert data([[0], [2]], [[1], [1]]).digest != data([[0], [1]], [[1], [1]]).digest


def block(names):
    made = nn.Module()
    for name in names:
        parent = made
        *outer, last = name.split(".")
        for part in outer:
            if not hasattr(parent, part):
                parent.add_module(part, nn.Module())
            parent = getattr(parent, part)
        parent.add_module(last, nn.LayerNorm(4) if last == "LayerNorm" else nn.Linear(4, 4))
    return made


@pytest.mark.parametrize(
    ("listed", "out"),
    [
        ("model.layers", "self_attn.o_proj"),
        ("transformer.h", "attn.c_proj"),
        ("gpt_neox.layers", "attention.dense"),
        ("encoder.layer", "attention.output.dense"),
    ],
)
def test_short_names_in_the_usual_layouts(listed, out):
    network = nn.Module()
    *outer, last = listed.split(".")
    parent = network
    for part in outer:
        parent.add_module(part, nn.Module())
        parent = getattr(parent, part)
    parent.add_module(last, nn.ModuleList(block([out, "mlp.up"]) for _ in range(3)))
    assert place("L1H2", network) == f"{listed}.1.{out}.input|head:2"
    assert place("L2.heads[pos=-1]", network) == f"{listed}.2.{out}.input[pos=-1]"
    assert place("L0H1+3|pos:-1", network) == f"{listed}.0.{out}.input|head:1+3|pos:-1"
    assert place("L0.mlp", network) == f"{listed}.0.mlp"
    assert place("L0.resid_pre", network) == f"{listed}.0.input" and place("L0.resid_post", network).endswith(
        "0.output"
    )
    assert len(places("L*.attn", network)) == 3 and places("fc.input", network) == ("fc.input",)
    for text, message in (("L3.mlp", "has 3 layers"), ("L0.mpl", "no such part"), ("L*.mlp", "names 3 places")):
        with pytest.raises(ConfigError, match=message):
            place(text, network)


class AddsItself(nn.Module):
    """Adds the stream to what it gives, as Bloom's units do."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, hidden, residual):
        return self.down(self.up(hidden)) + residual


def of_layers(*layers, name="layers"):
    network = nn.Module()
    network.add_module(name, nn.ModuleList(layers))
    return network


NORMS = ["post_attention_layernorm", "post_feedforward_layernorm"]
BERT = ["attention.self.query", "attention.output.dense", "attention.output.LayerNorm"]
BERT += ["intermediate.dense", "output.dense", "output.LayerNorm"]


@pytest.mark.parametrize(
    ("layer", "attn", "mlp"),
    [
        (BERT, "attention.output.dense", "output.dense"),
        (
            ["attention.attn.o", "attention.LayerNorm", "output.dense", "output.LayerNorm"],
            "attention.attn.o",
            "output.dense",
        ),
        (["self_attn.o_proj", "mlp.down_proj", *NORMS], NORMS[0], NORMS[1]),  # Gemma 2, OLMo 2
        (["self_attn.o_proj", "mlp.down_proj", NORMS[0]], "self_attn", "mlp"),  # in Llama it stands before the units
        (["attention.out_lin", "ffn.lin1", "ffn.lin2"], "attention", "ffn"),
        (["attention.dense", "output.dense"], "attention", "output.output"),
    ],
)
def test_what_is_added_is_not_the_stream_it_is_added_to(layer, attn, mlp):
    network = of_layers(block(layer), block(layer))
    assert place("L1.attn", network) == f"layers.1.{attn}" and place("L1.mlp", network) == f"layers.1.{mlp}"


def test_units_that_add_the_stream_themselves_are_taken_before_they_do():
    layer = block(["self_attention.dense"])
    layer.add_module("mlp", AddsItself())
    assert place("L0.mlp", of_layers(layer)) == "layers.0.mlp.down"


def test_layers_are_counted_in_their_own_list_and_those_without_attention_have_no_heads():
    attends = block(["self_attn.o_proj", "mlp"])
    hybrid = of_layers(block(["mamba", "mlp"]), attends, name="2")
    hybrid.add_module("3", nn.ModuleList([nn.Linear(2, 2)]))
    assert places("L*.heads", hybrid) == ("2.1.self_attn.o_proj.input",)
    assert len(places("L*.mlp", hybrid)) == len(places("L*.resid_post", hybrid)) == 2
    assert layer_of("2.1.self_attn.o_proj.input", hybrid) == 1 and layer_of("3.0", hybrid) is None
    with pytest.raises(ConfigError, match="2.0 has no attention"):
        place("L0H1", hybrid)
    both = nn.ModuleDict({"encoder": of_layers(attends), "decoder": of_layers(attends)})
    with pytest.raises(ConfigError, match=r"2 lists of 1 layers \(encoder.layers, decoder.layers\)"):
        place("L0H1", both)


def test_as_many_sequences_are_run_together_as_their_outputs_fit_into_memory(monkeypatch):
    monkeypatch.setattr("paribus.measure.passes.MOST_OUTPUT_BYTES", 2 * 7 * V * 4)
    data = RepeatedTokens(n_sequences=5, n_reference=0, length=3, n_tokens=V, lowest=1).load()
    executor, sizes = Executor(Tiny(), TokenSubject(data)), []
    executor.run(executor.subject.cells(np.arange(5)), "", lambda rows, *_: sizes.append(rows.stop - rows.start))
    assert sizes == [2, 2, 1]
    assert len(executor.values("stream", np.arange(5))) == 5
