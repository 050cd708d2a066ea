"""Architectures of transformers with random weights: short names, heads and padding against loops with plain hooks."""

from __future__ import annotations

import importlib.util
import json
import os

import numpy as np
import pytest
import torch

from paribus.engine.short_names import layers_with, place, places
from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.experiments.any.head_ablation.spec import HeadAblation
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.measure import Executor
from paribus.stats.spec import StatsSpec
from paribus.subjects.tokens.patterns import look, prefixes
from paribus.subjects.tokens.repeated import RepeatedTokens
from paribus.subjects.tokens.subject import TokenSubject
from paribus.subjects.tokens.token_file import TokenFile

pytestmark = pytest.mark.soak
V, D, HEADS, LAYERS = 97, 32, 4, 3

WIDE = {"vocab_size": V, "hidden_size": D, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
WIDE |= {"intermediate_size": 48, "max_position_embeddings": 64}
DECODER = WIDE | {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
FEW = {"num_key_value_heads": 2}
GPT = {"vocab_size": V, "n_embd": D, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 64}
GPT |= {"bos_token_id": 1, "eos_token_id": 2}
FALCON = {"vocab_size": V, "hidden_size": D, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
FALCON |= {"bos_token_id": 1, "eos_token_id": 2, "bias": True}
NARROW = {"head_dim": 16, "sliding_window": 4}

CAUSAL = {
    "GPT2LMHeadModel": GPT,
    "GPTJForCausalLM": GPT | {"rotary_dim": 4},
    "GPTBigCodeForCausalLM": GPT | {"multi_query": True},
    "LlamaForCausalLM": DECODER | FEW | {"attention_bias": True},
    "MistralForCausalLM": DECODER | FEW | {"sliding_window": 4},
    "Qwen2ForCausalLM": DECODER | FEW,
    "Qwen3ForCausalLM": DECODER | FEW | {"head_dim": 16},
    "Gemma2ForCausalLM": DECODER | FEW | NARROW | {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0},
    "Olmo2ForCausalLM": DECODER | FEW,
    "Glm4ForCausalLM": DECODER | FEW | {"head_dim": 8},
    "PhiForCausalLM": DECODER,
    "Phi3ForCausalLM": DECODER | FEW,
    "GPTNeoXForCausalLM": DECODER | {"use_parallel_residual": True},
    "OPTForCausalLM": {
        "vocab_size": V,
        "hidden_size": D,
        "num_hidden_layers": LAYERS,
        "ffn_dim": 48,
        "num_attention_heads": HEADS,
        "max_position_embeddings": 64,
        "word_embed_proj_dim": D,
    },
    "FalconForCausalLM": FALCON | {"parallel_attn": True, "multi_query": True, "alibi": False},
    "FalconForCausalLM alibi": FALCON | {"parallel_attn": False, "multi_query": False, "alibi": True},
    "BloomForCausalLM": {"vocab_size": V, "hidden_size": D, "n_layer": LAYERS, "n_head": HEADS},
    "MptForCausalLM": {"vocab_size": V, "d_model": D, "n_layers": LAYERS, "n_heads": HEADS, "max_seq_len": 64},
    "MixtralForCausalLM": DECODER | FEW | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "StableLmForCausalLM": DECODER | FEW | {"use_parallel_residual": True},
    "JambaForCausalLM": {
        **DECODER,
        **FEW,
        "num_experts": 2,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "mamba_d_state": 4,
        "mamba_dt_rank": 4,
        "use_mamba_kernels": False,
        "num_hidden_layers": LAYERS + 1,
    },
}
BERT = {"layer_norm_eps": 1e-12}
ENCODERS = {
    "BertModel": WIDE | BERT,
    "RobertaModel": WIDE | {"pad_token_id": 1},
    "ElectraModel": WIDE | {"embedding_size": 16},
    "MPNetModel": WIDE,
    "DebertaV2Model": WIDE,
    "DistilBertModel": {
        "vocab_size": V,
        "dim": D,
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "hidden_dim": 48,
        "max_position_embeddings": 64,
    },
}
NORMS = {
    "DistilBertModel": ("sa_layer_norm", "output_layer_norm"),
    "MPNetModel": ("attention.LayerNorm", "output.LayerNorm"),
}
"""Where encoders norm the sums of the stream and what is added to it; others as BERT."""
NO_HEADS = {
    "MambaForCausalLM": {"vocab_size": V, "hidden_size": D, "num_hidden_layers": LAYERS, "state_size": 4},
    "RwkvForCausalLM": {"vocab_size": V, "hidden_size": D, "num_hidden_layers": LAYERS, "context_length": 64},
}


def network_of(name):
    if importlib.util.find_spec("transformers") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("transformers is missing; make install-text")
    import transformers

    maker, settings = name.split()[0], (CAUSAL | ENCODERS | NO_HEADS | MULTIPLIED)[name]
    kind = getattr(transformers, maker)
    torch.manual_seed(0)
    network = kind._from_config(kind.config_class(**settings), attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # biases and norms that do something
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    network.config.use_cache = False
    return network


def first(value):
    return value[0] if isinstance(value, tuple | list) else value


def seen(network, names, ids):
    """Return what stands at places while the network reads ``ids``."""
    found, handles = {}, []
    for name in names:
        site = Site.parse(name)
        module = network.get_submodule(site.module)

        def before(_, args, kwargs, name=name):
            found[name] = (args[0] if args else kwargs["hidden_states"]).clone()

        def after(_, __, output, name=name):
            found[name] = first(output).clone()

        is_input = site.port == "input"
        handles.append(
            module.register_forward_pre_hook(before, with_kwargs=True)
            if is_input
            else module.register_forward_hook(after)
        )
    with torch.no_grad():
        network(ids)
    for handle in handles:
        handle.remove()
    return [found[name] for name in names]


IDS = torch.tensor([[1, 5, 9, 40, 7, 33], [1, 8, 4, 60, 2, 90]])


@pytest.mark.parametrize("name", [name for name in CAUSAL if name != "OPTForCausalLM"])
def test_the_stream_after_a_layer_is_that_before_and_what_short_names_say_is_added(name):
    network = network_of(name)
    layer = layers_with(network, "attn", "")[-1]
    parts = [place(f"L{layer}.{part}", network) for part in ("resid_pre", "attn", "mlp", "resid_post")]
    before, attn, mlp, after = seen(network, parts, IDS)
    torch.testing.assert_close(before + attn + mlp, after, atol=1e-5, rtol=1e-5)


MULTIPLIED = {
    "GraniteForCausalLM": DECODER | FEW | {"residual_multiplier": 0.5},
    "HyperCLOVAXForCausalLM": DECODER | FEW | {"residual_multiplier": 0.5},
    "MiniCPM3ForCausalLM": DECODER | {"scale_depth": 1.4, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4},
}
"""Those that multiply what is added, and by what."""


@pytest.mark.parametrize("name", MULTIPLIED)
def test_what_is_multiplied_before_it_is_added_is_no_short_name(name):
    network = network_of(name)
    for part in ("attn", "mlp"):
        with pytest.raises(ConfigError, match=r"multiplies this by its residual_\w+ before .* name .*layers.1."):
            place(f"L1.{part}", network)
    assert places("L*.heads", network) and place("L1.resid_post", network)
    if name == "GraniteForCausalLM":
        for layer in network.model.layers:
            layer.residual_multiplier = 1.0
        before, attn, mlp, after = seen(
            network, [place(f"L1.{part}", network) for part in ("resid_pre", "attn", "mlp", "resid_post")], IDS
        )
        torch.testing.assert_close(before + attn + mlp, after, atol=1e-5, rtol=1e-5)


def test_units_that_take_positions_for_rows_are_no_place(lines):
    network = network_of("OPTForCausalLM")
    with pytest.raises(ConfigError, match=r"layers.1 has no mlp"):
        place("L1.mlp", network)
    executor = Executor(network, TokenSubject(TokenFile(path=lines[0], n_tokens=V).load()))
    for read in (executor.vectors, executor.values):
        with pytest.raises(ConfigError, match="axis 0 must hold the examples"):
            read("model.decoder.layers.1.fc2", np.arange(4))


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_norm_the_stream_and_what_short_names_say_is_added(name):
    network = network_of(name)
    parts = [place(f"L1.{part}", network) for part in ("resid_pre", "attn", "mlp", "resid_post")]
    before, attn, mlp, after = seen(network, parts, IDS)
    block = parts[3].removesuffix(".output")
    names = NORMS.get(name, ("attention.output.LayerNorm", "output.LayerNorm"))
    first_norm, last_norm = (network.get_submodule(f"{block}.{one}") for one in names)
    with torch.no_grad():
        torch.testing.assert_close(last_norm(first_norm(before + attn) + mlp), after, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    rng, made = np.random.default_rng(5), []
    for row in range(16):
        answer, *against = rng.choice(np.arange(3, V), 3, replace=False).tolist()
        ids = [1, *rng.integers(3, V, int(rng.integers(4, 9))).tolist()]
        made.append({"ids": ids, "answer": answer, "against": against, "split": "test" if row < 10 else "train"})
    file = tmp_path_factory.mktemp("zoo") / "ids.jsonl"
    file.write_text("\n".join(map(json.dumps, made)))
    return str(file), made


@pytest.mark.parametrize("name", CAUSAL)
def test_a_head_taken_away_is_its_part_set_to_0_before_the_output_projection_of_each_sequence_alone(name, lines):
    network = network_of(name)
    path, rows = lines
    tested = [row for row in rows if row["split"] == "test"]

    def difference(row):
        with torch.no_grad():
            logits = network(torch.tensor([row["ids"]])).logits[0, -1].double()
        return float(logits[row["answer"]] - logits[row["against"]].mean())

    expected = {}
    for layer, site in zip(layers_with(network, "heads", ""), places("L*.heads", network), strict=True):
        projection = network.get_submodule(site.removesuffix(".input"))
        for head in range(HEADS):

            def without(_, args, head=head):
                value = args[0].clone()
                size = value.shape[-1] // HEADS
                value[..., head * size : (head + 1) * size] = 0
                return (value,)

            base = [difference(row) for row in tested]
            handle = projection.register_forward_pre_hook(without)
            expected[f"L{layer}H{head}"] = np.mean([difference(row) for row in tested]) - np.mean(base)
            handle.remove()
    for padding in ("right", "left"):
        data = TokenFile(path=path, n_tokens=V, padding=padding).load()
        subject = TokenSubject(data)
        subject.refuse_network(Executor(network, subject))
        stats = StatsSpec(n_null=0, n_bootstrap=100, n_permutations=99)
        setup = NetworkSetup(seed=0, stats=stats, contexts=subject, network=network, data=data)
        recorder = MemoryRecorder()
        perform(HeadAblation(ablations=["zero"], ks=[]), setup, recorder)
        found = recorder.tables["heads"].frame.set_index("level")["mean_delta"]
        assert set(found.index) == set(expected)
        for head, effect in expected.items():
            assert found[head] == pytest.approx(effect, abs=2e-4), (padding, head)


@pytest.mark.parametrize("name", CAUSAL)
def test_scores_of_prefix_matching_are_those_of_the_patterns_that_the_network_returns(name):
    network = network_of(name)
    data = RepeatedTokens(n_sequences=5, n_reference=0, length=6, n_tokens=V).load()
    at, to = prefixes(data.ids)
    found = look(Executor(network, TokenSubject(data)), np.arange(5), at, to).prefix
    with torch.no_grad():
        shown = [one for one in network(data.ids, output_attentions=True).attentions if one is not None]
    assert len(shown) == found.shape[1]
    for row in range(5):
        pairs = [(a, b) for a, b in zip(at[row].tolist(), to[row].tolist(), strict=True) if a >= 0]
        for layer, pattern in enumerate(shown):
            expected = np.mean([pattern[row, :, a, b].double().numpy() for a, b in pairs], axis=0)
            np.testing.assert_allclose(found[row, layer], expected, atol=1e-6)


@pytest.fixture(scope="module")
def two_lengths(tmp_path_factory):
    """Sequences of two lengths, of which both parts hold some."""
    rng, made = np.random.default_rng(6), []
    for row in range(20):
        answer, *against = rng.choice(np.arange(3, V), 3, replace=False).tolist()
        ids = [1, *rng.integers(3, V, 4 + 3 * (row % 2)).tolist()]
        made.append({"ids": ids, "answer": answer, "against": against, "split": "test" if row < 8 else "train"})
    file = tmp_path_factory.mktemp("patterns") / "ids.jsonl"
    file.write_text("\n".join(map(json.dumps, made)))
    return str(file), made


def values_in(name, network, layer):
    """Return the module whose output holds the values of a layer's heads, and how they are read off it."""
    if name.startswith("GPT2"):
        return network.transformer.h[layer].attn.c_attn, lambda out: out[..., 2 * D :]
    return network.model.layers[layer].self_attn.v_proj, lambda out: out


@pytest.mark.parametrize(
    "name", ["GPT2LMHeadModel", "LlamaForCausalLM", "MistralForCausalLM", "Qwen3ForCausalLM", "Gemma2ForCausalLM"]
)
def test_a_pattern_at_its_mean_mixes_the_own_values_by_it_in_each_sequence_alone(name, two_lengths):
    """Against hooks over single sequences; unedited the network is as it was, bit for bit."""
    network, (path, rows) = network_of(name), two_lengths
    with torch.no_grad():  # attention that tells positions apart, and is heard
        for one, parameter in network.named_parameters():
            if any(part in one for part in ("q_proj.weight", "k_proj.weight", "o_proj.weight", "attn.c_")):
                parameter.mul_(4)
    tested = [torch.tensor([row["ids"]]) for row in rows if row["split"] == "test"]
    fitted = [torch.tensor([row["ids"]]) for row in rows if row["split"] == "train"]
    asked = [(row["answer"], row["against"]) for row in rows if row["split"] == "test"]

    def difference(ids, answer, against):
        logits = network(ids).logits[0, -1].double()
        return float(logits[answer] - logits[against].mean())

    expected = {}
    with torch.no_grad():
        base = [difference(ids, *one) for ids, one in zip(tested, asked, strict=True)]
        shown = [(ids.shape[1], network(ids, output_attentions=True).attentions) for ids in fitted]
        mean = {
            (length, layer): torch.stack([every[layer][0] for n, every in shown if n == length]).mean(0)
            for length in {n for n, _ in shown}
            for layer in range(LAYERS)
        }
        for layer, site in enumerate(places("L*.heads", network)):
            projection, (source, read) = network.get_submodule(site[:-6]), values_in(name, network, layer)
            for head in range(HEADS):
                held = {}

                def keep(_, __, out, held=held, read=read):
                    held["values"] = read(out)

                def mixed(_, args, head=head, layer=layer, held=held):
                    value, own = args[0].clone(), held["values"]
                    size = value.shape[-1] // HEADS
                    shared = own[..., (head * (own.shape[-1] // size)) // HEADS * size :][..., :size]
                    pattern = mean[value.shape[1], layer][head]
                    value[..., head * size : (head + 1) * size] = pattern @ shared
                    return (value,)

                handles = [source.register_forward_hook(keep), projection.register_forward_pre_hook(mixed)]
                edited = [difference(ids, *one) for ids, one in zip(tested, asked, strict=True)]
                expected[f"L{layer}H{head}"] = np.mean(edited) - np.mean(base)
                for handle in handles:
                    handle.remove()
        before = [network(ids).logits for ids in tested]
    for padding in ("right", "left"):
        data = TokenFile(path=path, n_tokens=V, padding=padding).load()
        stats = StatsSpec(n_null=0, n_bootstrap=100, n_permutations=99)
        setup = NetworkSetup(seed=0, stats=stats, contexts=TokenSubject(data), network=network, data=data)
        recorder = MemoryRecorder()
        perform(HeadAblation(ablations=["pattern"], ks=[2]), setup, recorder)
        found = recorder.tables["heads"].frame.set_index("level")["mean_delta"]
        assert set(found.index) == set(expected) and max(map(abs, expected.values())) > 0.05
        for head, effect in expected.items():
            assert found[head] == pytest.approx(effect, abs=2e-4), (padding, head)
        assert recorder.diagnostics.engine.strategy in ("hooks", "resume")
    with torch.no_grad():
        assert all(torch.equal(network(ids).logits, one) for ids, one in zip(tested, before, strict=True))


@pytest.mark.parametrize("name", CAUSAL)
def test_a_pattern_is_set_or_refused_by_name_and_the_network_left_as_it_was(name, two_lengths):
    network = network_of(name)
    data = TokenFile(path=two_lengths[0], n_tokens=V).load()
    setup = NetworkSetup(
        seed=0, stats=StatsSpec(n_null=0), contexts=TokenSubject(data), network=network, data=data, checkpoint="final"
    )
    with torch.no_grad():
        before = network(IDS).logits
        try:
            HeadAblation(ablations=["pattern"], ks=[]).validate(setup)
        except ConfigError as error:
            assert "no module named 'pattern' hands on the attention of" in str(error), error
            assert type(network).__name__ in str(error) and network.config._attn_implementation == "eager"
            assert name in REFUSED
        else:
            assert name not in REFUSED
        torch.testing.assert_close(network(IDS).logits, before, atol=0, rtol=0)


REFUSED = {"FalconForCausalLM", "FalconForCausalLM alibi", "BloomForCausalLM", "MptForCausalLM"}
"""Those that look no attention function up."""


@pytest.mark.parametrize("name", NO_HEADS)
def test_networks_without_heads_are_refused(name):
    with pytest.raises(ConfigError, match="has no layers with attention|has no output projection"):
        places("L*.heads", network_of(name))


@pytest.mark.parametrize("name", ["RobertaModel", "MPNetModel"])
def test_encoders_that_count_positions_from_elsewhere_are_not_padded_on_the_left(name, lines):
    network = network_of(name)
    for padding in ("right", "left"):
        subject = TokenSubject(TokenFile(path=lines[0], n_tokens=V, padding=padding).load())
        if padding == "right":
            subject.refuse_network(Executor(network, subject))
            continue
        with pytest.raises(ConfigError, match="another output for a padded sequence than for the same one alone"):
            subject.refuse_network(Executor(network, subject))
