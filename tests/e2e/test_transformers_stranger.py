"""A transformer of a stranger: random weights in the usual folder, ablated, and read by an autoencoder of its own."""

from __future__ import annotations

import importlib.util
import os

import pytest
import torch

import paribus
from paribus.tracking.relocate import relocate

WORDS = ["model=hf", "model.path=llama", "data=repeated_tokens", "data.n_tokens=40", "data.length=6", "data.first=null"]
DATA = [*WORDS, "data.n_sequences=16", "data.n_reference=60", "stats=quick", "stats.n_null=8"]


@pytest.fixture(scope="module")
def place(tmp_path_factory, migrated_database):
    """A working folder with a model of transformers in it, and an autoencoder trained on its residual stream."""
    if importlib.util.find_spec("transformers") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("transformers is missing; make install-text")
    import shutil

    import transformers

    from paribus.tracking import local

    folder, before = tmp_path_factory.mktemp("stranger"), os.getcwd()
    shutil.copy2(migrated_database, folder / local.DATABASE)
    os.chdir(folder)
    relocate(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained("llama")
    words = [
        "experiment=train_sae",
        "experiment.place=model.layers.0",
        "experiment.n_features=24",
        "experiment.top_k=3",
    ]
    sae = paribus.run([*words, *DATA, "experiment.steps=120", "experiment.n_evaluations=3"])
    yield sae
    os.chdir(before)


def test_the_stream_has_features_now(place):
    quality = place.tables["quality"].frame.set_index("autoencoder")
    assert quality.loc["trained", "l0"] == 3 and quality.loc["trained", "explained_variance"] > 0.3
    assert place.aggregates.n_samples == 54 * 12
    assert place.aggregates.custom["place"] == "model.layers.0.output"


OTHERS = {
    "a latent is set": ["experiment=sweep", "factor@experiment.factor=latent", "experiment.factor.id=3"],
    "heads are taken out": ["experiment=ablate", "factor@experiment.factor=heads", "experiment.place=L1.heads"],
}


def measured(place, words):
    """Return the effects of a type on the model with its autoencoder."""
    data = [word for word in DATA if not word.startswith("model")]
    words = [*words, *data, "model=tracked", f"model.run={place.run_id}", "experiment.n_contexts=40"]
    return paribus.run(words).tables["effects"].frame


def test_a_latent_is_read_under_edits_below_it(place):
    words = ["factor@experiment.factor=units", "experiment.place=model.embed_tokens", "feature=latent", "feature.id=3"]
    effects = measured(place, ["experiment=ablate", *words])
    assert effects["p_adj"].notna().all() and (effects["mean_delta"] != 0).any()


@pytest.mark.soak
@pytest.mark.parametrize("words", list(OTHERS.values()), ids=list(OTHERS))
def test_generic_types_run_on_it(place, words):
    assert measured(place, words)["p_adj"].notna().any()
