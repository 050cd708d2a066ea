"""Taking up in the middle of a network that cannot be traced, and running its last positions alone."""

from __future__ import annotations

import functools
import importlib.util
import os

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from paribus.engine import site_values, streaming
from paribus.engine.evaluation import Engine
from paribus.engine.given import given
from paribus.engine.hooks import visiting
from paribus.engine.interventions import AblateUnits, Identity, Steer
from paribus.engine.layers import trail
from paribus.engine.parts import Together, Within
from paribus.engine.replacements import Graft, Resample
from paribus.engine.sites import Site
from paribus.engine.tail import cut_to, kept_keys
from paribus.errors import ConfigError, ExperimentError

N, LENGTH, WIDTH, VOCABULARY = 5, 7, 8, 11


class Keys:
    """Keys and values by layer, as a language model keeps them."""

    def __init__(self, n_layers: int) -> None:
        self.kept: list[Tensor | None] = [None] * n_layers

    def add(self, layer: int, x: Tensor) -> Tensor:
        before = self.kept[layer]
        self.kept[layer] = x if before is None else torch.cat([before, x], 1)
        return self.kept[layer]

    @property
    def length(self) -> int:
        return 0 if self.kept[0] is None else self.kept[0].shape[1]

    def batch_select_indices(self, indices: Tensor) -> None:
        self.kept = [None if one is None else one[indices] for one in self.kept]


class Layer(nn.Module):
    def __init__(self, number: int, causal: bool) -> None:
        super().__init__()
        self.number, self.causal = number, causal
        self.q, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.pattern = nn.Identity()
        self.runs = 0

    def forward(self, x: Tensor, keys: Keys | None = None) -> tuple[Tensor, None]:
        self.runs += x.shape[0] * x.shape[1]
        there = x if keys is None else keys.add(self.number, x)
        scores = self.q(x) @ there.transpose(1, 2)
        if self.causal:
            own = torch.arange(x.shape[1], device=x.device)[:, None] + there.shape[1] - x.shape[1]
            late = torch.arange(there.shape[1], device=x.device) > own
            scores = scores.masked_fill(late, -torch.inf)
        pattern = self.pattern(scores.softmax(-1)[:, None])[:, 0]
        return x + self.out(torch.tanh(pattern @ self.v(there))), None


class Model(nn.Module):
    """A small language model that no tracer follows."""

    def __init__(self, n_layers: int = 4, causal: bool = True) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Layer(number, causal) for number in range(n_layers))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY)

    def forward(self, input_ids: Tensor, past_key_values: Keys | None = None, use_cache: bool = False) -> Tensor:
        if float(input_ids.sum()) < 0:  # control flow
            raise ValueError
        keys = (past_key_values or Keys(len(self.layers))) if use_cache else None
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x, keys)[0]
        logits = self.head(self.norm(x))
        return {"logits": logits, "past_key_values": keys} if use_cache else logits


class Plain(Model):
    """The same without keys and values from outside."""

    def forward(self, input_ids: Tensor) -> Tensor:
        return super().forward(input_ids)


@pytest.fixture
def ids():
    return torch.randint(0, VOCABULARY, (N, LENGTH), generator=torch.Generator().manual_seed(1))


def model_of(kind=Model, **more):
    torch.manual_seed(0)
    return kind(**more).eval()


def last(*edits, positions=(-1,)):
    return [Within(one, positions=list(positions)) for one in edits]


def by_hooks(model, site, ids, one):
    def edit(value):
        h = value.movedim(-1, 1)
        bound = one.at(slice(0, len(h)), lambda: h) if one.needs_rows else one
        return bound.forward(h).movedim(1, -1)

    with torch.no_grad(), visiting(model, Site.parse(site), edit):
        out = model(ids)
    return out.numpy()


EDITS = {
    "everywhere": [Identity(), AblateUnits([1, 2]), Steer(torch.ones(WIDTH), 0.5)],
    "donors": [Identity(), Resample([0, 3], torch.arange(N).flip(0))],
}


@pytest.mark.parametrize("kind", [Model, Plain])
@pytest.mark.parametrize("site", ["layers.2", "layers.2.q.input", "layers.3.out", "norm", "head.input", "layers.0"])
@pytest.mark.parametrize("edits", list(EDITS.values()), ids=list(EDITS))
def test_resume_equals_hooks(ids, kind, site, edits):
    model = model_of(kind)
    engine = Engine(model, f"{site}@-1", strategy="resume")
    found = engine.evaluate(ids, edits)
    assert found.report.strategy == "resume"
    for one, output in zip(edits, found.outputs, strict=True):
        np.testing.assert_allclose(output, by_hooks(model, f"{site}@-1", ids, one), atol=1e-5)


def test_an_attention_pattern_has_no_late_positions_that_are_run_alone(ids):
    edits = [Identity(), Within(Steer(torch.ones(1), 0.5), positions=[LENGTH * LENGTH - 1])]
    found = Engine(model_of(), "layers.2.pattern@1").evaluate(ids, edits)
    assert found.report.strategy == "resume" and found.report.parity_max_abs_diff < 1e-5
    with pytest.raises(ExperimentError, match="there is no tail"):
        Engine(model_of(), "layers.2.pattern@1", strategy="tail").evaluate(ids, edits)


def test_layers_before_the_site_run_once(ids):
    model = model_of(Plain)
    engine = Engine(model, "layers.2.q.input", batch_limit=64)
    engine.evaluate(ids, [Identity()])
    before = [layer.runs for layer in model.layers]
    found = engine.evaluate(ids, [AblateUnits([unit]) for unit in range(WIDTH)])
    runs = [layer.runs - start for layer, start in zip(model.layers, before, strict=True)]
    parity = 2 * LENGTH
    assert found.report.strategy == "resume"
    assert runs == [parity, parity, WIDTH * N * LENGTH + parity, WIDTH * N * LENGTH + parity]


@pytest.mark.parametrize("positions", [(-1,), (4, 6), (-3,)])
@pytest.mark.parametrize("kept", [None, (-1,), (2, -1), (0, 1)])
@pytest.mark.parametrize("site", ["layers.0.q.input", "layers.1.q.input", "layers.2", "norm"])
def test_tail_equals_hooks(ids, site, kept, positions):
    model = model_of()
    edits = [Identity(), *last(AblateUnits([1]), Steer(torch.ones(WIDTH), 2.0), positions=positions)]
    engine = Engine(model, f"{site}@-1", positions=kept)
    found = engine.evaluate(ids, edits)
    assert found.report.strategy == "tail"
    assert found.report.parity_max_abs_diff < 1e-5
    for one, output in zip(edits, found.outputs, strict=True):
        expected = by_hooks(model, f"{site}@-1", ids, one)
        np.testing.assert_allclose(output, expected if kept is None else expected[:, list(kept)], atol=1e-5)


def test_tail_takes_several_sites_rows_and_donors(ids):
    model = model_of()
    first, second = last(AblateUnits([1]), Steer(torch.ones(WIDTH), 2.0))
    own = torch.arange(N).remainder(2)[:, None] + 4  # positions 4 or 5, by row
    donors = Within(Resample([0, 1], torch.arange(N).flip(0)), positions=[-1])
    graft = Within(Graft([2], torch.arange(float(N)).reshape(N, 1, 1)), positions=[-2])
    engine = Engine(model, "layers.1@-1", also=["layers.3.q.input@-1"])
    pairs = [Together((first, second)), Together((None, second)), Together((Within(AblateUnits([0]), None, own), None))]
    together = engine.evaluate(ids, [*pairs, Together((donors, None)), Together((graft, first))])
    assert together.report.strategy == "tail"
    hooks = Engine(model, "layers.1@-1", also=["layers.3.q.input@-1"], strategy="hooks")
    expected = hooks.evaluate(ids, [*pairs, Together((donors, None)), Together((graft, first))])
    np.testing.assert_allclose(together.outputs, expected.outputs, atol=1e-5)


@pytest.mark.parametrize(("strategy", "positions"), [("tail", (4, 6)), ("tail", None), ("resume", None)])
def test_outputs_that_are_held_together_are_bounded(ids, monkeypatch, strategy, positions):
    edits = last(*(AblateUnits([unit]) for unit in range(WIDTH)), positions=positions or (3,))
    whole = Engine(model_of(), "layers.1.q.input@-1", positions=positions, strategy=strategy).evaluate(ids, edits)
    model = model_of()
    engine = Engine(model, "layers.1.q.input@-1", positions=positions, strategy=strategy)
    engine.plan(ids)
    row = VOCABULARY * 4 * LENGTH  # the most that a pass makes of a row
    monkeypatch.setattr(site_values, "_LEAST_ROWS", 1)
    monkeypatch.setattr(site_values, "PASS_OUTPUT_BYTES", 3 * row)
    made = []
    model.head.register_forward_hook(lambda *args: made.append(args[-1].numel() * 4))
    found = engine.evaluate(ids, edits)
    assert found.report.strategy == whole.report.strategy == strategy
    assert max(made) <= 3 * row
    np.testing.assert_allclose(found.outputs, whole.outputs, atol=1e-6)


def test_tail_runs_only_the_last_positions(ids):
    model = model_of()
    engine = Engine(model, "layers.1.q.input@-1", positions=(-1,))
    engine.evaluate(ids, last(AblateUnits([0])))
    before = [layer.runs for layer in model.layers]
    engine.evaluate(ids, last(*(AblateUnits([unit]) for unit in range(WIDTH))))
    runs = [layer.runs - start for layer, start in zip(model.layers, before, strict=True)]
    keys, parity = N * (LENGTH - 1), 2 * LENGTH
    assert runs == [keys + parity, *[keys + parity + WIDTH * N] * 3]


class CutKeys(Keys):
    """Keys and values that can be cut, as those of transformers."""

    def crop(self, further: int) -> None:
        assert further < 0
        self.kept = [one[:, :further] for one in self.kept]

    def get_seq_length(self) -> int:
        return self.length


def test_layers_values_and_keys_come_from_one_pass(ids, monkeypatch):
    monkeypatch.setitem(globals(), "Keys", CutKeys)
    model, plain = model_of(), model_of(Plain)
    engine = Engine(model, "layers.1.q.input@-1", positions=(-1,), strategy="tail")
    engine.plan(ids)
    before = [layer.runs for layer in model.layers]
    edits = last(*(AblateUnits([unit]) for unit in range(WIDTH)))
    found = engine.evaluate(ids, edits)
    runs = [layer.runs - start for layer, start in zip(model.layers, before, strict=True)]
    once, parity = N * LENGTH, 2 * LENGTH
    assert runs == [once + parity, *[once + parity + WIDTH * N] * 3]
    for one, output in zip(edits, found.outputs, strict=True):
        np.testing.assert_allclose(output, by_hooks(plain, "layers.1.q.input@-1", ids, one)[:, [-1]], atol=1e-5)


def test_a_pass_that_plans_is_run_once(ids):
    model = model_of()
    Engine(model, "layers.1@-1", strategy="resume").plan(ids)
    assert [layer.runs for layer in model.layers] == [3 * LENGTH] * 4, "three rows show shapes and layers together"


@pytest.mark.parametrize("kind", [Keys, CutKeys])
def test_what_is_not_causal_is_found_out_whatever_its_keys_are(ids, monkeypatch, kind):
    monkeypatch.setitem(globals(), "Keys", kind)
    edits = last(AblateUnits([1]), Steer(torch.ones(WIDTH), 2.0))
    found = Engine(model_of(causal=False), "layers.1@-1").evaluate(ids, edits)
    assert found.report.strategy == "resume"


def test_what_is_not_causal_is_found_out(ids, caplog):
    model = model_of(causal=False)
    edits = last(AblateUnits([1]), Steer(torch.ones(WIDTH), 2.0))
    engine = Engine(model, "layers.1@-1")
    found = engine.evaluate(ids, edits)
    assert found.report.strategy == "resume"
    assert "tail is off by" in caplog.text and "using resume instead" in caplog.text
    for one, output in zip(edits, found.outputs, strict=True):
        np.testing.assert_allclose(output, by_hooks(model, "layers.1@-1", ids, one), atol=1e-5)


def test_reading_downstream_of_the_tail(ids):
    model = model_of()
    edits = [Identity(), *last(AblateUnits([1]))]
    engine = Engine(model, "layers.1@-1", read="layers.3.q.input", positions=(-1,))
    found = engine.evaluate(ids, edits)
    assert found.report.strategy == "tail"
    hooks = Engine(model, "layers.1@-1", read="layers.3.q.input", positions=(-1,), strategy="hooks")
    expected = hooks.evaluate(ids, edits)
    np.testing.assert_allclose(found.outputs, expected.outputs, atol=1e-5)
    assert found.outputs.shape == (2, N, 1, WIDTH)


@pytest.mark.parametrize(
    ("kept", "short", "joined"), [((-1,), 1, [0, 1, 2, 3]), (None, 1, [0, 1, 2, 3]), ((-1,), 30, [0, 0, 2, 2])]
)
def test_each_patch_takes_up_at_its_own_layer_or_with_few_others_at_theirs(ids, kept, short, joined, monkeypatch):
    """15 tokens for each layer; two layers share a pass of 30, which takes up at the first of them."""
    monkeypatch.setattr(streaming, "SHORT_PASS", short)
    model = model_of()
    sites = [f"layers.{layer}.q.input@-1" for layer in range(4)]
    units = range(3)
    edits = [
        Together(tuple(Within(AblateUnits([unit]), positions=[-1]) if at == layer else None for at in range(4)))
        for layer in range(4)
        for unit in units
    ]
    engine = Engine(model, sites[0], also=sites[1:], positions=kept)
    found = engine.evaluate(ids, edits)
    assert found.report.strategy == "tail"
    expected = Engine(model, sites[0], also=sites[1:], positions=kept, strategy="hooks").evaluate(ids, edits)
    np.testing.assert_allclose(found.outputs, expected.outputs, atol=1e-5)
    before = [layer.runs for layer in model.layers]
    engine.evaluate(ids, edits)
    runs = [layer.runs - start for layer, start in zip(model.layers, before, strict=True)]
    patched = [runs[layer] - runs[0] for layer in range(4)]
    plain = 0 if kept else N * LENGTH  # the outputs of earlier positions, from the last layer on
    start = np.array(joined)  # where the patches of each layer take up; those that do at 0 run all layers
    expected_runs = [N * len(units) * int((start <= layer).sum() - (start == 0).sum()) for layer in range(4)]
    expected_runs[3] += plain
    assert patched == expected_runs


def test_an_edit_that_reaches_back_has_no_tail(ids):
    model = model_of()
    engine = Engine(model, "layers.1@-1")
    assert engine.evaluate(ids, [AblateUnits([1])]).report.strategy == "resume"
    assert engine.evaluate(ids, last(AblateUnits([1]), positions=(0,))).report.strategy == "resume"
    with pytest.raises(ExperimentError, match="there is no tail"):
        Engine(model, "layers.1@-1", strategy="tail").evaluate(ids, [AblateUnits([1])])
    with pytest.raises(ConfigError, match="cannot be evaluated by tail"):
        Engine(model_of(Plain), "layers.1@-1", strategy="tail").evaluate(ids, last(AblateUnits([1])))
    with pytest.raises(ConfigError, match="cannot be evaluated by resume"):
        Engine(model, "embed@-1", strategy="resume").evaluate(ids, [Identity()])


def test_nothing_is_left_after_an_exception(ids):
    class Explodes(Identity):
        def forward(self, h):
            raise RuntimeError("boom")

        @property
        def family(self):
            return None

    model = model_of()
    for edits in ([Explodes()], [Within(Explodes(), positions=[-1])]):
        with pytest.raises(RuntimeError, match="boom"):
            Engine(model, "layers.2@-1").evaluate(ids, edits)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not any("forward" in module.__dict__ for module in model.modules())


def test_a_forward_that_was_put_there_before_is_there_afterwards(ids):
    """The hooks of ``accelerate`` exchange a module's forward, as passing a layer over does."""
    model = model_of()
    for layer in model.layers:
        layer.forward = functools.partial(type(layer).forward, layer)
    before = [vars(layer)["forward"] for layer in model.layers]
    found = Engine(model, "layers.2@-1", strategy="resume").evaluate(ids, [AblateUnits([0])]).outputs
    assert all(vars(layer)["forward"] is one for layer, one in zip(model.layers, before, strict=True))
    torch.testing.assert_close(
        found, Engine(model_of(), "layers.2@-1", strategy="hooks").evaluate(ids, [AblateUnits([0])]).outputs
    )


def test_layers_are_a_chain_and_nothing_else(ids):
    class Crossed(Model):
        def forward(self, input_ids):
            x = self.embed(input_ids)
            for layer in self.layers:
                x = x + layer(x)[0]  # not what the layer returned
            return self.head(x)

    class Twice(Model):
        def forward(self, input_ids):
            x = self.embed(input_ids)
            for layer in [*self.layers, self.layers[0]]:
                x = layer(x)[0]
            return self.head(x)

    passed = given(ids)
    expected = {"embed": 0, "layers.0.q": 0, "layers.1": 2, "layers.1.input": 1, "norm": 4, "head": 4}
    found = trail(model_of(), [Site.parse(site) for site in expected], passed)
    assert found.layers.names == tuple(f"layers.{n}" for n in range(4))
    assert found.upto == tuple(expected.values())
    assert trail(model_of(Crossed), [], passed) is None
    assert trail(model_of(Twice), [], passed) is None


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed")
@pytest.mark.parametrize("padded", [False, True])
def test_a_model_of_transformers(padded):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, attn_implementation="eager",
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    inputs = {"input_ids": torch.randint(0, 32, (4, 9))}
    if padded:
        inputs["attention_mask"] = (torch.arange(9)[None] >= torch.tensor([0, 1, 2, 0])[:, None]).long()
    cut = cut_to(kept_keys(model, given(inputs)), 5)
    assert cut is not None and cut.get_seq_length() == 5
    site = "model.layers.1.self_attn.o_proj.input"
    edits = [
        Identity(),
        *(Within(AblateUnits(range(4)), channels=range(4 * h, 4 * h + 4), positions=[-1]) for h in range(4)),
    ]
    everywhere = [Within(AblateUnits(range(4)), channels=range(4 * h, 4 * h + 4)) for h in range(4)]
    # A padded position attends to all positions alike, later ones too: read there, the model is not causal.
    whole = "resume" if padded else "tail"
    for some, positions, strategy in ((edits, (-1,), "tail"), (edits, None, whole), (everywhere, None, "resume")):
        found = Engine(model, site, positions=positions).evaluate(inputs, some)
        assert found.report.strategy == strategy
        expected = Engine(model, site, positions=positions, strategy="hooks").evaluate(inputs, some)
        np.testing.assert_allclose(found.outputs, expected.outputs, atol=1e-5)
    assert model.config.use_cache is True


# ------------------------------------------------------------------ the same on another device

DEVICE = os.environ.get("PARIBUS_TEST_DEVICE", "cuda")
on_device = pytest.mark.skipif(
    "PARIBUS_TEST_DEVICE" not in os.environ and not torch.cuda.is_available(), reason="no CUDA device"
)
FORMATS = {"float32": 1e-3, "bfloat16": 5e-2}


def llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


NETWORKS = {
    "own": (model_of, "layers.1.q.input@-1"),
    "llama": (llama, "model.layers.1.self_attn.o_proj.input@-1"),
}


@pytest.mark.gpu
@on_device
@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed")
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("network", NETWORKS)
def test_on_a_device_tail_resume_and_hooks_say_what_the_cpu_says(ids, network, dtype):
    make, site = NETWORKS[network]
    late = [Identity(), *last(AblateUnits([1]), Steer(torch.ones(WIDTH if network == "own" else 16), 20.0))]
    donors = [Within(Resample([0, 1], torch.arange(N).flip(0)), positions=[-1])]
    everywhere = [Identity(), AblateUnits([1])]
    for edits, ways in (([*late, *donors], ("tail", "resume", "hooks")), (everywhere, ("resume", "hooks"))):
        expected = Engine(make(), site, positions=(-1,), strategy="hooks").evaluate(ids, edits).outputs
        scale = float(np.abs(expected).max())
        assert np.abs(expected - expected[:1]).max() > 3 * FORMATS[dtype] * scale or edits is everywhere
        free = Engine(make(), site, positions=(-1,), device=DEVICE, dtype=dtype).evaluate(ids, edits)
        assert free.report.strategy == ways[0], "parity refuses no exact way because of the format alone"
        for way in ways:
            engine = Engine(make(), site, positions=(-1,), device=DEVICE, dtype=dtype, strategy=way)
            found = engine.evaluate(ids, edits)
            assert found.report.strategy == way
            np.testing.assert_allclose(found.outputs, expected, atol=FORMATS[dtype] * scale, rtol=0)
