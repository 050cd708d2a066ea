"""Circuit metrics against published numbers of published weights, and against planted circuits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from paribus.models.modular_transformer import ModularTransformerSpec
from paribus.models.nets.modular_transformer import ModularTransformer, own_state
from paribus.subjects.tokens import circuits

SHARED = Path(__file__).parents[4] / "shared" / "data" / "clock_pizza"
MODEL_A, MODEL_B = "p99zdpze5l", "l8k1hzciux"


def published(run):
    if not SHARED.is_dir():
        pytest.skip("the published weights are not here")
    config = json.loads((SHARED / f"config_{run}.json").read_text())
    spec = ModularTransformerSpec(
        d_model=128, n_heads=4, attn_coeff=float(config["attn_coeff"]), weights=str(SHARED / f"model_{run}.pt")
    )
    return spec.build(n_tokens=59, length=2, n_classes=59, generator=torch.Generator()).eval()


def logits_of(network, embedding=None):
    own = network.embed.weight.data
    if embedding is not None:
        network.embed.weight.data = torch.tensor(embedding, dtype=torch.float32)
    try:
        with torch.no_grad():
            return network(circuits.all_pairs(network.p)).double().numpy()
    finally:
        network.embed.weight.data = own


@pytest.mark.parametrize(
    ("run", "irrelevance", "symmetricity", "circular", "norm"),
    [
        (MODEL_A, 0.1717364, 0.9936652, 0.99782, 22.854),
        (MODEL_B, 0.8482599, 0.3336378, 0.99891, 24.814),
    ],
)
def test_published_metrics(run, irrelevance, symmetricity, circular, norm):
    network = published(run)
    logits = logits_of(network)
    pairs = circuits.all_pairs(network.p)
    assert (logits.argmax(1) == circuits.answers(pairs, network.p).numpy()).all()
    assert circuits.distance_irrelevance(logits) == pytest.approx(irrelevance, abs=1e-6)
    found = circuits.gradient_symmetricity(network, network.embed, circuits.triples(network.p))
    assert found == pytest.approx(symmetricity, abs=1e-6)
    components = circuits.Components.of(network.embed.weight.detach().double().numpy())
    assert circuits.circularity(components) == pytest.approx(circular, abs=1e-5)
    squares = sum(float((w.detach().double() ** 2).sum()) for w in network.parameters())
    assert squares**0.5 == pytest.approx(norm, abs=1e-3)


def only(embedding, circle):
    """Return the embedding ``[p, d]`` with one circle around the mean kept alone."""
    mean = embedding.mean(axis=0)
    return (embedding - mean) @ circle.basis @ circle.basis.T + mean


def test_published_fractions_of_variance():
    network = published(MODEL_A)
    components = circuits.Components.of(network.embed.weight.detach().double().numpy())
    found = circuits.circles_of_components(components)
    embedding = network.embed.weight.detach().double().numpy()
    assert [circle.frequency for circle in found] == [17, 3, 15, 25, 6, 29]
    expected = {"clock": (75.41, 75.62, 75.38), "pizza": (98.31, 98.31, 98.41), "beside": (97.56, 97.23, 97.69)}
    for circle, clock, pizza in zip(found[:3], expected["clock"], expected["pizza"], strict=True):
        logits = logits_of(network, only(embedding, circle))
        assert 100 * circuits.explained(logits, circuits.clock, circle.frequency) == pytest.approx(clock, abs=0.01)
        assert 100 * circuits.explained(logits, circuits.pizza, circle.frequency) == pytest.approx(pizza, abs=0.01)
    for circle, share in zip(found[3:], expected["beside"], strict=True):
        logits = logits_of(network, only(embedding, circle))
        whole = circuits.half(circle.frequency, network.p)
        assert 100 * circuits.explained(logits, circuits.accompanying, whole) == pytest.approx(share, abs=0.01)


def test_frequencies_find_the_same_circles_in_the_published_network():
    embedding = published(MODEL_A).embed.weight.detach().double().numpy()
    by_frequency = circuits.circles_of_frequencies(embedding)
    by_components = circuits.circles_of_components(circuits.Components.of(embedding))
    assert [one.frequency for one in by_frequency] == [one.frequency for one in by_components]
    for one, other in zip(by_frequency, by_components, strict=True):
        assert one.share == pytest.approx(other.share, abs=0.002)
        overlap = np.linalg.svd(one.basis.T @ other.basis, compute_uv=False)
        assert overlap.min() > 0.99, "the planes are the same but for a few degrees"


def test_frequencies_find_circles_of_one_size_that_components_mix():
    p, rng = 31, np.random.default_rng(0)
    turn = 2 * np.pi * np.arange(p) / p
    waves = [wave(frequency * turn) for frequency in (3, 5, 12) for wave in (np.cos, np.sin)]
    axes = np.linalg.qr(rng.normal(size=(64, 6))).Q.T
    embedding = np.stack(waves, 1) @ axes + 0.05 * rng.normal(size=(p, 64))
    found = circuits.circles_of_frequencies(embedding)
    assert sorted(one.frequency for one in found) == [3, 5, 12]
    for one in found:
        plane = axes[[2 * (3, 5, 12).index(one.frequency), 2 * (3, 5, 12).index(one.frequency) + 1]]
        assert np.linalg.svd(plane @ one.basis, compute_uv=False).min() > 0.99
    assert len(circuits.circles_of_components(circuits.Components.of(embedding))) < 3


@pytest.mark.parametrize(("p", "d"), [(11, 16), (31, 64), (59, 128)])
def test_random_embeddings_have_no_circle(p, d):
    rng = np.random.default_rng(0)
    assert not any(circuits.circles_of_frequencies(rng.normal(size=(p, d))) for _ in range(200))


def test_what_is_loaded_computes_the_published_formula():
    torch.manual_seed(0)
    p, d, heads, size = 7, 12, 3, 4
    shapes = {
        "embed.W_E": (d, p),
        "pos_embed.W_pos": (2, d),
        "unembed.W_U": (d, p),
        **{f"blocks.0.attn.W_{name}": (heads, size, d) for name in "QKV"},
        "blocks.0.attn.W_O": (d, d),
        "blocks.0.mlp.W_in": (20, d),
        "blocks.0.mlp.b_in": (20,),
        "blocks.0.mlp.W_out": (d, 20),
        "blocks.0.mlp.b_out": (d,),
    }
    state = {name: torch.randn(shape) for name, shape in shapes.items()}
    network = ModularTransformer(p, d_model=d, n_heads=heads, d_mlp=20, attn_coeff=0.3)
    network.load_state_dict(own_state(state))
    pairs = circuits.all_pairs(p)
    x = state["embed.W_E"].T[pairs] + state["pos_embed.W_pos"]
    mixed = []
    for head in range(heads):
        q, k, v = (x @ state[f"blocks.0.attn.W_{name}"][head].T for name in "QKV")
        pattern = 0.3 * torch.softmax(q @ k.transpose(1, 2) / size**0.5, -1) + 0.7
        mixed.append(pattern @ v)
    x = x + torch.cat(mixed, -1) @ state["blocks.0.attn.W_O"].T
    hidden = torch.relu(x @ state["blocks.0.mlp.W_in"].T + state["blocks.0.mlp.b_in"])
    x = x + hidden @ state["blocks.0.mlp.W_out"].T + state["blocks.0.mlp.b_out"]
    with torch.no_grad():
        torch.testing.assert_close(network(pairs), x[:, -1] @ state["unembed.W_U"], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("form", [circuits.clock, circuits.pizza, circuits.accompanying])
def test_a_form_explains_itself_and_nothing_of_another_frequency(form):
    p = 31
    pairs = circuits.all_pairs(p).numpy().astype(float)
    logits = 3.0 * form(pairs[:, :1], pairs[:, 1:], np.arange(p)[None], 2 * np.pi * 4 / p) + 1.0
    assert circuits.explained(logits, form, 4) == pytest.approx(1.0)
    assert circuits.explained(logits, form, 5) < 0.05


def test_a_network_of_sums_is_symmetric():
    network = ModularTransformer(11, d_model=16, attn_coeff=0.0, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.blocks[0].attn.out.weight.copy_(torch.eye(16))
        network.blocks[0].attn.v.weight.copy_(torch.eye(16))

    class Answer(torch.nn.Module):  # only the sum of the two streams reaches the answer
        def forward(self, tokens):
            return network.unembed(torch.relu(network.embed(tokens).sum(1)))

    found = circuits.gradient_symmetricity(Answer(), network.embed, circuits.triples(11, 20))
    assert found == pytest.approx(1.0, abs=1e-6)
    assert not network.embed._forward_hooks
