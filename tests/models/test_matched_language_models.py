"""Latents of language models from folders beside each other: two autoencoders of one model, and two models."""

from __future__ import annotations

import importlib.util
import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import paribus
from paribus.errors import ConfigError

pytestmark = pytest.mark.soak
V, D, F = 97, 16, 24
ORDER = np.random.default_rng(3).permutation(F)
"""Which latent of the second autoencoder is each of the first."""
CHANNELS = np.random.default_rng(4).permutation(D)
READS = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "lm_head", "embed_tokens")
ASKED = [
    "experiment=match_features", "data=repeated_tokens", f"data.n_tokens={V}", "data.n_sequences=60", "data.length=8",
    "model=hf", "experiment.least_fired=5", "tracking=off",
]  # fmt: skip


def permuted(state):
    """Return the weights of the same function with the channels of its residual stream in another order."""
    made = {}
    for name, value in state.items():
        if "norm" in name:
            made[name] = value[CHANNELS]
        elif any(part in name for part in READS):
            made[name] = value[:, CHANNELS]
        else:
            made[name] = value[CHANNELS]
    return made


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    if importlib.util.find_spec("transformers") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("transformers is missing; make install-text")
    import transformers

    root = tmp_path_factory.mktemp("matched")
    config = transformers.LlamaConfig(
        vocab_size=V, hidden_size=D, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    network = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for one in network.parameters():
            one.add_(0.2 * torch.randn(one.shape))
    network.save_pretrained(root / "one")
    network.load_state_dict({name: one.contiguous() for name, one in permuted(network.state_dict()).items()})
    network.save_pretrained(root / "other")
    weights = {"W_enc": torch.randn(D, F), "b_enc": -torch.rand(F), "W_dec": torch.randn(F, D), "b_dec": torch.zeros(D)}
    shuffled = {"W_enc": weights["W_enc"][:, ORDER], "b_enc": weights["b_enc"][ORDER], "W_dec": weights["W_dec"][ORDER]}
    beyond = {"W_enc": shuffled["W_enc"][CHANNELS], "b_enc": shuffled["b_enc"], "W_dec": shuffled["W_dec"][:, CHANNELS]}
    for name, state in (("sae", weights), ("shuffled", shuffled), ("beyond", beyond)):
        (root / name).mkdir()
        state = {key: value.contiguous() for key, value in {"b_dec": weights["b_dec"], **state}.items()}
        save_file(state, root / name / "sae_weights.safetensors")
        settings = {"architecture": "standard", "d_in": D, "d_sae": F, "hook_name": "blocks.0.hook_resid_post"}
        (root / name / "cfg.json").write_text(json.dumps(settings))
    return root


def matched(folders, *words):
    return paribus.run(
        [*ASKED, f"model.path={folders / 'one'}", f"experiment.path={folders / 'sae'}", *words]
    )  # fmt: skip


def partners(result, way):
    rows = result.tables["matches"].frame
    rows = rows[rows["way"] == way]
    assert len(rows) > 10 and (rows["similarity"] > 1 - 1e-5).all() and rows["established"].all()
    return dict(zip(rows["feature"], rows["partner"], strict=True))


PLANTED = {int(latent): place for place, latent in enumerate(ORDER)}


def test_two_autoencoders_of_one_language_model(folders):
    result = matched(folders, f"experiment.other_path={folders / 'shuffled'}")
    for way in ("activation", "decoder"):
        assert partners(result, way).items() <= PLANTED.items()


def test_two_language_models_are_given_the_same_tokens(folders):
    other = f"experiment.other_model={folders / 'other'}"
    result = matched(folders, other, f"experiment.other_path={folders / 'beyond'}")
    assert partners(result, "activation").items() <= PLANTED.items()
    assert set(result.tables["matches"].frame["way"]) == {"activation"}, "channels do not mean the same"
    assert "other, " in result.aggregates.custom["second"]
    # the same autoencoder does not read the same there
    apart = matched(folders, other, f"experiment.other_path={folders / 'shuffled'}").tables["matches"].frame
    assert apart["similarity"].mean() < 0.8


def test_language_models_that_cannot_be_matched_are_refused(folders):
    for name, vocabulary in (("one", {"a": 0}), ("other", {"b": 0})):
        (folders / name / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    words = [f"experiment.other_model={folders / 'other'}", f"experiment.other_path={folders / 'beyond'}"]
    with pytest.raises(ConfigError, match="has another tokenizer than model.path="):
        matched(folders, *words)
    for name in ("one", "other"):
        (folders / name / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match="by other_run or by other_model, not by both"):
        matched(folders, *words, "experiment.other_run=abcd")
    with pytest.raises(paribus.errors.ParibusError, match="experiment.other_model=nowhere: needs a folder with config"):
        matched(folders, "experiment.other_model=nowhere", words[1])
