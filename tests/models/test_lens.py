"""SAELens folders against their formulas written out in numpy."""

import itertools
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from paribus.errors import CheckpointError, ConfigError
from paribus.features.columns import Latents
from paribus.models import lens
from paribus.models.autoencoders import load_sae, stated_hook
from paribus.models.lens_hooks import place_of_hook

D, F, K = 6, 11, 3
ARCHITECTURES = ("standard", "jumprelu", "topk", "gated")
NORMALISATIONS = ("none", "layer_norm", "constant_norm_rescale")


def draw(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def folder(path, config, *, width=D, drop=(), dtype=torch.float32, **extra):
    weights = {
        "W_enc": draw(width, F, seed=1),
        "W_dec": 2 * draw(F, width, seed=2),
        "b_enc": draw(F, seed=3) / 2,
        "b_dec": draw(width, seed=4) / 2,
        **extra,
    }
    if config.get("architecture") == "jumprelu":
        weights["threshold"] = draw(F, seed=5)  # below 0 for some, where ReLU alone decides
    if config.get("architecture") == "gated":
        del weights["b_enc"]
        weights |= {"b_gate": draw(F, seed=6) / 2, "b_mag": draw(F, seed=7) / 2, "r_mag": draw(F, seed=8) / 2}
    weights = {name: value.to(dtype) for name, value in weights.items() if name not in drop}
    save_file(weights, path / "sae_weights.safetensors")
    (path / "cfg.json").write_text(json.dumps(config))
    return {name: value.double().numpy() for name, value in weights.items()}


def written_out(w, config, x):
    """Return activations and reconstruction as SAELens defines them, in float64."""
    kind, scale, shift = config.get("normalize_activations", "none"), 1.0, 0.0
    if kind == "layer_norm":
        shift = x.mean(-1, keepdims=True)
        scale = (x - shift).std(-1, ddof=1, keepdims=True)
        x = (x - shift) / (scale + 1e-5)
    if kind == "constant_norm_rescale":
        scale = np.sqrt((x**2).sum(-1, keepdims=True)) / np.sqrt(x.shape[-1])
        x = x / scale
    if config.get("apply_b_dec_to_input", True):
        x = x - w["b_dec"]
    if config["architecture"] == "gated":
        gate = x @ w["W_enc"] + w["b_gate"] > 0
        f = gate * np.maximum(x @ (w["W_enc"] * np.exp(w["r_mag"])) + w["b_mag"], 0)
        return f, (f @ w["W_dec"] + w["b_dec"]) * scale + shift
    z = x @ w["W_enc"] + w["b_enc"]
    norms = np.sqrt((w["W_dec"] ** 2).sum(1))
    rescaled = config.get("rescale_acts_by_decoder_norm", False)
    if rescaled:
        z = z * norms
    f = np.maximum(z, 0)
    if config["architecture"] == "jumprelu":
        f = f * (z > w["threshold"])
    if config["architecture"] == "topk":
        smallest = np.sort(z, -1)[..., -K, None]
        f = f * (z >= smallest)
    given = f / norms if rescaled else f
    given = given * w.get("finetuning_scaling_factor", 1.0)
    return f, (given @ w["W_dec"] + w["b_dec"]) * scale + shift


@pytest.mark.parametrize(
    ("architecture", "normalise", "centred"),
    list(itertools.product(ARCHITECTURES, NORMALISATIONS, [True, False])),
)
def test_every_architecture_with_every_normalisation(tmp_path, architecture, normalise, centred):
    config = {
        "architecture": architecture,
        "normalize_activations": normalise,
        "apply_b_dec_to_input": centred,
        "k": K,
        "d_in": D,
        "d_sae": F,
        "dtype": "float32",
    }
    w = folder(tmp_path, config)
    x = 3 * draw(40, D, seed=9) + 1
    f, made = written_out(w, config, x.double().numpy())
    sae = load_sae(tmp_path, clamp=0.1)  # a folder's own kind decides: there is no clamp
    again, found, _ = (one.detach() for one in sae(x))
    np.testing.assert_allclose(found.detach().numpy(), f, atol=1e-4)
    np.testing.assert_allclose(again.detach().numpy(), made, atol=2e-4)
    error = np.square(x.numpy() - made).sum()
    assert float((x - again).square().sum()) == pytest.approx(error, rel=1e-4)
    assert 0 < (f > 0).sum() < f.size
    rows = torch.tensor([4, 0])
    np.testing.assert_allclose(sae.encode(x, rows)[0].detach().numpy(), f[:, [4, 0]], atol=1e-4)


@pytest.mark.parametrize(("architecture", "normalise"), list(itertools.product(ARCHITECTURES, NORMALISATIONS)))
def test_a_latent_is_set_and_the_error_term_kept(tmp_path, architecture, normalise):
    config = {"architecture": architecture, "normalize_activations": normalise, "k": K}
    w = folder(tmp_path, config)
    x = 3 * draw(40, D, seed=9) + 1
    f, made = written_out(w, config, x.double().numpy())
    row = int(np.argmax((f > 0).mean(0) * ((f > 0).mean(0) < 1)))
    wanted = f.copy()
    wanted[:, row] = 2.5
    scale = 1.0
    if normalise == "layer_norm":
        scale = x.double().numpy().std(-1, ddof=1, keepdims=True)
    if normalise == "constant_norm_rescale":
        scale = np.linalg.norm(x.double().numpy(), axis=-1, keepdims=True) / np.sqrt(D)
    expected = x.numpy() + scale * ((wanted - f) @ w["W_dec"])
    edit = Latents(load_sae(tmp_path, clamp=None)).setter(row, 2.5)
    np.testing.assert_allclose(edit.forward(x).numpy(), expected, atol=3e-4)
    positions = torch.stack([x, x.flip(0)], 2)  # [n, d, positions]
    both = edit.forward(positions).numpy()
    np.testing.assert_allclose(both[:, :, 0], expected, atol=3e-4)
    np.testing.assert_allclose(both[:, :, 1], expected[::-1], atol=3e-4)


@pytest.mark.parametrize(
    "more", [{"rescale_acts_by_decoder_norm": True}, {"normalize_activations": False}, {"hook_head_index": None}]
)
def test_further_settings_of_top_k(tmp_path, more):
    config = {"architecture": "topk", "k": K, **more}
    w, x = folder(tmp_path, config), draw(30, D, seed=9)
    f, made = written_out(w, {**config, "normalize_activations": "none"}, x.double().numpy())
    sae = load_sae(tmp_path, clamp=None)
    np.testing.assert_allclose(sae(x)[1].detach().numpy(), f, atol=1e-4)
    np.testing.assert_allclose(sae(x)[0].detach().numpy(), made, atol=1e-4)


def test_older_folders_name_top_k_and_factors_otherwise(tmp_path):
    x = draw(30, D, seed=9)
    folder(tmp_path, {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}})
    assert int((load_sae(tmp_path, clamp=None).encode(x)[0] > 0).sum(1).max()) == 2
    factor = 1 + draw(F, seed=12).abs()
    config = {"architecture": "standard", "finetuning_scaling_factor": True}
    w = folder(tmp_path, config, finetuning_scaling_factor=factor)
    f, made = written_out(w, config, x.double().numpy())
    sae = load_sae(tmp_path, clamp=None)
    np.testing.assert_allclose(sae(x)[0].detach().numpy(), made, atol=1e-4)
    np.testing.assert_allclose(sae(x)[1].detach().numpy(), f, atol=1e-4)
    folder(tmp_path, {"architecture": "standard"}, scaling_factor=torch.ones(F))
    assert load_sae(tmp_path, clamp=None).n_features == F


def test_half_formats_are_read_as_they_are_stored(tmp_path):
    config = {"architecture": "standard", "dtype": "torch.bfloat16"}
    w, x = folder(tmp_path, config, dtype=torch.bfloat16), draw(30, D, seed=9)
    f, _ = written_out(w, config, x.double().numpy())
    np.testing.assert_allclose(load_sae(tmp_path, clamp=None)(x)[1].detach().numpy(), f, atol=1e-4)


def test_one_head_is_read_beside_the_others(tmp_path):
    config = {"architecture": "standard", "hook_name": "blocks.0.attn.hook_z", "hook_head_index": 1}
    w, x = folder(tmp_path, config), draw(30, 3 * D, seed=9)
    f, made = written_out(w, config, x[:, D : 2 * D].double().numpy())
    sae = load_sae(tmp_path, clamp=None, width=3 * D)
    again, found, _ = sae(x)
    np.testing.assert_allclose(found.detach().numpy(), f, atol=1e-4)
    np.testing.assert_allclose(again.detach().numpy()[:, D : 2 * D], made, atol=1e-4)
    edited = Latents(sae).setter(2, 0.0).forward(x)
    changed = (edited != x).any(0).numpy()
    assert not changed[:D].any() and not changed[2 * D :].any() and changed[D : 2 * D].any()
    with pytest.raises(CheckpointError, match="reads head 1 of 6 channels; the place has 7 channels"):
        load_sae(tmp_path, clamp=None, width=7)


@pytest.mark.parametrize(
    ("config", "extra", "match"),
    [
        ({"architecture": "batchtopk"}, {}, "'batchtopk' is not known; valid: standard, jumprelu, topk, gated"),
        ({"architecture": "jumprelu_transcoder"}, {}, "reads one place and writes another"),
        ({"architecture": "jumprelu"}, {"drop": ("threshold",)}, "without threshold"),
        ({"architecture": "gated"}, {"drop": ("r_mag",)}, "lacks r_mag"),
        ({"architecture": "topk"}, {}, "gives no k"),
        ({"architecture": "topk", "k": F + 1}, {}, "keeps 12 of 11"),
        ({"architecture": "gated", "activation_fn": "topk", "k": 2}, {}, "'gated' with activation function"),
        ({"activation_fn_str": "tanh-relu"}, {}, "'tanh-relu' is not known; valid: relu, topk"),
        ({"normalize_activations": "expected_average_only_in"}, {}, "a factor that the folder does not hold"),
        ({"normalize_activations": True}, {}, "a factor that the folder does not hold"),
        ({"normalize_activations": "layernorm"}, {}, "did you mean 'layer_norm'"),
        ({"normalize_activations": "layer_norm", "hook_head_index": 1}, {}, "beside the other heads"),
        ({"apply_b_dec_to_input": "yes"}, {}, "expected true or false"),
        ({"hook_head_index": "all"}, {}, "hook_head_index='all'; expected a whole number from 0"),
        ({"d_in": D + 1}, {}, "says d_in=7, the weights have 6"),
        ({"d_sae": 4}, {}, "says d_sae=4, the weights have 11"),
        ({}, {"scaling_factor": 2 * torch.ones(F)}, "does not say finetuning_scaling_factor=true"),
        ({}, {"b_dec": torch.zeros(F)}, r"b_dec is \(11,\), expected \(6,\)"),
        ({}, {"W_dec": torch.zeros(D, F)}, r"W_dec is \(6, 11\), expected \(11, 6\)"),
        ({}, {"drop": ("b_dec",)}, "lacks b_dec"),
    ],
)
def test_folders_that_cannot_be_read_say_why(tmp_path, config, extra, match):
    folder(tmp_path, config, **extra)
    with pytest.raises(CheckpointError, match=match):
        load_sae(tmp_path, clamp=None)


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    folder(tmp_path, {"architecture": "standard"})
    monkeypatch.setattr(lens, "_memory", lambda: 900.0)
    monkeypatch.setattr(lens.loading, "load_state", lambda _: pytest.fail("the weights were read"))
    with pytest.raises(CheckpointError, match="11 features of 6 take"):
        load_sae(tmp_path, clamp=None)
    monkeypatch.undo()
    (tmp_path / "sae_weights.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(CheckpointError, match="damaged"):
        load_sae(tmp_path, clamp=None)
    for content in ("[1]", "{", "[" * 20000):
        (tmp_path / "cfg.json").write_text(content)
        with pytest.raises(CheckpointError, match="JSON"):
            load_sae(tmp_path, clamp=None)


# Places ---------------------------------------------------------------------------------------------------------------


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = nn.ModuleDict({"o_proj": nn.Linear(4, 4)})
        self.mlp = nn.ModuleDict({"gate_proj": nn.Linear(4, 8), "down_proj": nn.Linear(8, 4)})


def network(*, norm=False):
    net = nn.Sequential()
    net.layers = nn.ModuleList([Layer(), Layer()])
    if norm:
        net.layers[1].post_feedforward_layernorm = nn.LayerNorm(4)
    return net


@pytest.mark.parametrize(
    ("hook", "site"),
    [
        ("blocks.1.hook_resid_pre", "layers.1.input"),
        ("blocks.1.hook_resid_post", "layers.1.output"),
        ("blocks.0.hook_attn_out", "layers.0.self_attn"),
        ("blocks.0.hook_mlp_out", "layers.0.mlp"),
        ("blocks.1.attn.hook_z", "layers.1.self_attn.o_proj.input"),
        ("blocks.1.mlp.hook_post", "layers.1.mlp.down_proj.input"),
        ("layers.1.mlp", "layers.1.mlp"),
    ],
)
def test_hooks_are_sites_of_the_network(hook, site):
    assert place_of_hook(hook, network()) == site


def test_what_is_normed_before_it_is_added_is_read_behind_the_norm_and_experts_are_refused():
    net = network(norm=True)
    assert place_of_hook("blocks.1.hook_mlp_out", net) == "layers.1.post_feedforward_layernorm"
    assert place_of_hook("blocks.1.mlp.hook_post", net) == "layers.1.mlp.down_proj.input"
    net.layers[1].mlp = nn.ModuleDict({"experts": nn.Linear(4, 4), "gate": nn.Linear(4, 2)})
    with pytest.raises(ConfigError, match=r"layers.1.mlp ends in no linear map"):
        place_of_hook("blocks.1.mlp.hook_post", net)


@pytest.mark.parametrize(
    ("hook", "match"),
    [
        ("blocks.0.hook_resid_mid", "no hook known here"),
        ("ln_final.hook_normalized", "no hook known here"),
        ("blocks.2.hook_mlp_out", "numbered 0 to 1"),
        ("blocks.2.hook_resid_pre", "numbered 0 to 1"),
        ("layer.1.mlp", "did you mean 'layers.1.mlp'"),
    ],
)
def test_hooks_that_are_no_place_are_refused_with_candidates(hook, match):
    with pytest.raises(ConfigError, match=match):
        place_of_hook(hook, network())


def test_the_hook_of_a_folder_is_found_in_both_layouts(tmp_path):
    folder(tmp_path, {"hook_name": "blocks.1.hook_resid_pre"})
    assert stated_hook(tmp_path) == "blocks.1.hook_resid_pre"
    folder(tmp_path, {"metadata": {"hook_name": "blocks.0.hook_mlp_out"}})
    assert stated_hook(tmp_path) == "blocks.0.hook_mlp_out"
    folder(tmp_path, {})
    assert stated_hook(tmp_path) == "" == stated_hook(tmp_path / "sae.pt")
