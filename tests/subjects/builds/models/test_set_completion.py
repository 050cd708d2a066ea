import json

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import CheckpointError, ConfigError
from paribus.models.autoencoders import random_sae
from paribus.models.sae import SAE
from paribus.subjects.builds.models.nets.set_transformer import Attention, SetCompletionNet
from paribus.subjects.builds.models.set_completion import SetCompletion, SetCompletionSmall
from paribus.subjects.builds.models.splatgpt import SplatGPT
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons

TOKENS = Vocabulary.default().tokens
SPECIALS = [w.special for w in Weapons.default().weapons]
SMALL = {"embedding": 8, "hidden": 16, "n_layers": 2, "n_heads": 2, "n_inducing": 3}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small(**changes):
    return SetCompletion(**{**SMALL, **changes}).build(tokens=TOKENS, specials=SPECIALS, generator=generator())


def inputs(n=6, length=7, seed=0):
    tokens = torch.randint(0, 138, (n, length), generator=generator(seed))
    pad = torch.arange(length)[None] >= torch.randint(1, length + 1, (n, 1), generator=generator(seed + 1))
    return tokens, torch.randint(0, 130, (n, 1), generator=generator(seed + 2)), pad


def test_the_full_model_has_83001420_parameters_in_345_tensors():
    with torch.device("meta"):
        net = SetCompletionNet(
            n_tokens=140, n_weapons=130, embedding=32, hidden=512, n_layers=3, n_heads=8, n_inducing=32
        )
    state = net.state_dict()
    assert sum(value.numel() for value in state.values()) == 83_001_420
    assert len(state) == 345
    layer = "transformer_layers.2."
    for name, shape in {
        "ability_embedding.weight": (140, 32),
        "weapon_embedding.weight": (130, 32),
        "input_proj.weight": (512, 32),
        "output_layer.bias": (140,),
        layer + "set_transformer.enc_layer2.mab1.mha.in_proj_weight": (1536, 512),
        layer + "set_transformer.enc_layer1.inducing_points": (1, 32, 512),
        layer + "set_transformer.enc_layer1.layer_norm.bias": (512,),
        layer + "set_transformer.dec_layer1.seed_vectors": (1, 32, 512),
        layer + "set_transformer.dec_layer1.out_proj.weight": (512, 512),
        layer + "set_transformer.dec_layer3.mab.feedforward.2.weight": (512, 2048),
        layer + "cross_attention.mha.out_proj.bias": (512,),
        layer + "cross_attention.layer_norm2.weight": (512,),
        layer + "feedforward.0.weight": (2048, 512),
        layer + "layer_norm2.weight": (512,),
    }.items():
        assert tuple(state[name].shape) == shape, name


@pytest.mark.parametrize("same", [True, False])
def test_attention_is_that_of_torch(same):
    own, reference = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    reference.load_state_dict(own.state_dict())
    query = torch.randn(4, 5, 12)
    key = query if same else torch.randn(4, 7, 12)
    pad = torch.rand(4, key.shape[1]) < 0.4
    pad[:, 0] = False
    expected = reference(query, key, key, key_padding_mask=pad, need_weights=False)[0]
    assert torch.allclose(own(query, key, pad), expected, atol=1e-6)


def test_order_and_padding_do_not_matter():
    net = small().network
    tokens, weapon, pad = inputs()
    out = net(tokens, weapon, pad)
    order = torch.randperm(tokens.shape[1])
    assert torch.allclose(net(tokens[:, order], weapon, pad[:, order]), out, atol=1e-5)
    more = torch.cat([tokens, torch.full((len(tokens), 9), 139)], 1)
    more_pad = torch.cat([pad, torch.ones(len(tokens), 9, dtype=torch.bool)], 1)
    assert torch.allclose(net(more, weapon, more_pad), out, atol=1e-5)
    changed = torch.where(pad, 11, tokens)
    assert torch.allclose(net(changed, weapon, pad), out, atol=1e-5)


def test_a_row_of_padding_gives_no_nan_and_disturbs_no_other():
    net = small().network
    tokens, weapon, pad = inputs()
    out = net(tokens, weapon, pad)
    pad2 = pad.clone()
    pad2[2] = True
    mixed = net(tokens, weapon, pad2)
    assert torch.isfinite(mixed).all()
    assert torch.allclose(mixed[2], net.output_layer.bias, atol=1e-6)
    keep = [0, 1, 3, 4, 5]
    assert torch.allclose(mixed[keep], out[keep], atol=1e-5)


def test_the_weapon_matters_and_starting_weights_follow_the_generator():
    net = small().network
    tokens, weapon, pad = inputs()
    assert not torch.allclose(net(tokens, weapon, pad), net(tokens, (weapon + 1) % 130, pad))
    before = torch.get_rng_state()
    a, b = small().network.state_dict(), small().network.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_are_read_with_or_without_prefix(tmp_path, prefix, suffix):
    net = small().network
    state = {prefix + name: value for name, value in net.state_dict().items()}
    path = tmp_path / f"model{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        from safetensors.torch import save_file

        save_file(state, path)
    again = SetCompletion(**SMALL, weights=str(path)).build(tokens=TOKENS, specials=SPECIALS, generator=generator(9))
    assert torch.equal(again.network(*inputs()), net(*inputs()))


def test_a_vocabulary_that_does_not_fit_the_checkpoint(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(small().network.state_dict(), path)
    spec = SetCompletion(**SMALL, weights=str(path))
    with pytest.raises(CheckpointError, match="ability_embedding.weight has 140 rows, but the vocabulary has 100"):
        spec.build(tokens=TOKENS[:100], specials=SPECIALS, generator=generator())
    with pytest.raises(CheckpointError, match="weapon vocabulary has 5"):
        spec.build(tokens=TOKENS, specials=SPECIALS[:5], generator=generator())
    with pytest.raises(CheckpointError, match="of another shape"):
        SetCompletion(**{**SMALL, "hidden": 32}, weights=str(path)).build(
            tokens=TOKENS, specials=SPECIALS, generator=generator()
        )


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match="multiple of n_heads"):
        SetCompletion(hidden=100, n_heads=8)


def test_what_training_publishes_comes_back():
    spec = SetCompletionSmall()
    assert spec.trained_by == ("train_set_completion", "train_sae")
    model = spec.build(tokens=TOKENS, specials=SPECIALS, generator=generator())
    sae = random_sae(spec.hidden, 10, generator(), clamp=2.0)
    published = {"model": model.network.state_dict(), "sae": sae.state_dict(), "sae_clamp": 2.0, "epoch": 3}
    again = spec.restore(published, tokens=TOKENS, specials=SPECIALS)
    assert torch.equal(again.network(*inputs()), model.network(*inputs()))
    assert again.require_sae().n_features == 10 and float(again.sae.clamp) == 2.0
    with pytest.raises(ConfigError, match="no sparse autoencoder"):
        spec.restore({"model": published["model"]}, tokens=TOKENS, specials=SPECIALS).require_sae()
    with pytest.raises(CheckpointError, match="holds no weights"):
        spec.restore({"epoch": 3}, tokens=TOKENS, specials=SPECIALS)


# A folder of artefacts ------------------------------------------------------------------------------------------------


def artefacts(folder, *, params="{}", sae=True, squeeze=False, net=None):
    net = net or small().network
    state = {f"module.{name}": value for name, value in net.state_dict().items()}
    if squeeze:
        state = {n: v[0] if n.endswith(("inducing_points", "seed_vectors")) else v for n, v in state.items()}
    torch.save({"model_state_dict": state}, folder / "model_ultra.pth")
    (folder / "model_params.json").write_text(params)
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(TOKENS)}))
    (folder / "weapon_vocab.json").write_text(json.dumps({n: i for i, n in enumerate(Weapons.default().names)}))
    if sae:
        torch.save(
            random_sae(net.output_layer.in_features, 24, generator()).state_dict(), folder / "sae_model_ultra.pth"
        )
    return net


@pytest.mark.parametrize("squeeze", [False, True])
def test_a_folder_of_artefacts_is_read_with_sizes_from_the_shapes(tmp_path, squeeze):
    net = artefacts(tmp_path, params='{"use_mixed_precision": true, "num_heads": 2}', squeeze=squeeze)
    spec = SplatGPT(path=str(tmp_path))
    model = spec.build(tokens=TOKENS, specials=SPECIALS)
    assert torch.allclose(model.network(*inputs()), net(*inputs()))
    assert model.sae.n_features == 24 and float(model.sae.clamp) == 6.0
    assert spec.vocabulary_files() == (tmp_path / "vocab.json", tmp_path / "weapon_vocab.json")
    assert set(spec.input_files()) == {"model", "vocabulary", "weapon_vocabulary", "params", "sae"}


def test_without_layer_norms_and_projection(tmp_path):
    net = small(embedding=16, use_layer_norm=False).network
    assert not any("mab1.layer_norm1" in name for name in net.state_dict())
    assert not any("input_proj" in name for name in net.state_dict())
    assert "transformer_layers.0.set_transformer.enc_layer1.layer_norm.weight" in net.state_dict()
    artefacts(tmp_path, params="", net=net, sae=False)
    model = SplatGPT(path=str(tmp_path), n_heads=2, clamp=None).build(tokens=TOKENS, specials=SPECIALS)
    assert torch.allclose(model.network(*inputs()), net(*inputs())) and model.sae is None


def test_artefacts_that_do_not_fit(tmp_path):
    with pytest.raises(CheckpointError, match="no folder"):
        SplatGPT(path=str(tmp_path / "none")).build(tokens=TOKENS, specials=SPECIALS)
    artefacts(tmp_path, params="{}", sae=False)
    with pytest.raises(CheckpointError, match="give model.n_heads"):
        SplatGPT(path=str(tmp_path)).build(tokens=TOKENS, specials=SPECIALS)
    with pytest.raises(CheckpointError, match="5 heads do not divide"):
        SplatGPT(path=str(tmp_path), n_heads=5).build(tokens=TOKENS, specials=SPECIALS)
    with pytest.raises(CheckpointError, match="no such file"):
        SplatGPT(path=str(tmp_path), variant="full", n_heads=2).build(tokens=TOKENS, specials=SPECIALS)
    with pytest.raises(CheckpointError, match="the vocabulary has 139"):
        SplatGPT(path=str(tmp_path), n_heads=2).build(tokens=TOKENS[:-1], specials=SPECIALS)
    torch.save(random_sae(99, 4, generator()).state_dict(), tmp_path / "sae_model_ultra.pth")
    with pytest.raises(CheckpointError, match="reads vectors of 99, the model gives 16"):
        SplatGPT(path=str(tmp_path), n_heads=2).build(tokens=TOKENS, specials=SPECIALS)
    (tmp_path / "model_params.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read as JSON"):
        SplatGPT(path=str(tmp_path)).build(tokens=TOKENS, specials=SPECIALS)
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "model_ultra.pth")
    with pytest.raises(CheckpointError, match="no set completion model"):
        SplatGPT(path=str(tmp_path), n_heads=2).build(tokens=TOKENS, specials=SPECIALS)


def test_a_pickle_with_code_is_refused(tmp_path):
    import pickle

    class Bad:
        def __reduce__(self):
            return (print, ("executed",))

    (tmp_path / "model.pth").write_bytes(pickle.dumps(Bad()))
    with pytest.raises(CheckpointError):
        SetCompletion(**SMALL, weights=str(tmp_path / "model.pth")).build(
            tokens=TOKENS, specials=SPECIALS, generator=generator()
        )


def test_random_autoencoder_of_a_spec():
    model = SetCompletion(**SMALL, sae=SAE(n_features=20, clamp=None)).build(
        tokens=TOKENS, specials=SPECIALS, generator=generator()
    )
    assert model.sae.n_features == 20 and model.sae.clamp is None
    assert np.allclose(model.sae.directions().norm(dim=1).detach().numpy(), 1.0)
