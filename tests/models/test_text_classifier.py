"""An encoder with a head: padding changes nothing, a frozen encoder is run once, and what is trained is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paribus.engine.evaluation import Engine
from paribus.engine.given import Given
from paribus.engine.interventions import AblateUnits
from paribus.errors import CheckpointError, ConfigError
from paribus.models.hf import HF
from paribus.models.loading import fit_state
from paribus.models.nets import hf
from paribus.models.nets.text_classifier import pooled
from paribus.models.text_classifier import TextClassifier
from paribus.subjects.tokens.text_table import TextTable
from paribus.training.loops.classifier import train_classifier
from paribus.training.spec import TrainingSpec


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_encoder, planted_letters, needs_text):
    frame = planted_letters.letters(n_patients=8)
    made = tiny_encoder.write_encoder(tmp_path_factory.mktemp("encoder"), frame["letter"])
    frame.to_csv(made / "letters.csv", index=False)
    return made


@pytest.fixture(scope="module")
def data(folder):
    roles = {"text": "letter", "label": "outcome", "domain": "hospital", "cluster": "patient"}
    return TextTable(
        path=str(folder / "letters.csv"), tokenizer=str(folder), val_domain="east", ood_domain="west", **roles
    ).load()


def built(folder, data, **changes):
    spec = TextClassifier(encoder=str(folder), **changes)
    return spec.build(n_tokens=data.n_tokens, n_classes=2, generator=torch.Generator().manual_seed(0))


class Kept(dict):
    """Where a training keeps what it keeps."""

    def save(self, name, content):
        self[name] = content

    def load(self, name):
        return self.get(name)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_padding_never_changes_a_number(folder, data, pooling):
    model = built(folder, data, pooling=pooling).double()
    rows = torch.arange(len(data.ids))
    together = data.given.take(rows).call(model)
    lengths = data.mask.sum(1)
    assert lengths.min() < lengths.max(), "some are padded"
    for row in (int(lengths.argmin()), int(lengths.argmax()), 5):
        alone = data.ids[row][data.mask[row] > 0][None]
        with torch.no_grad():
            assert torch.allclose(model(alone)[0], together[row], rtol=0, atol=1e-12)
    # whatever stands where nothing is read
    noise = torch.where(data.mask > 0, data.ids, torch.randint_like(data.ids, data.n_tokens))
    wider = torch.nn.functional.pad(noise, (0, 7), value=3)
    mask = torch.nn.functional.pad(data.mask.long(), (0, 7))
    assert torch.allclose(model(wider, mask), together, rtol=0, atol=1e-12)


def test_pooled_vectors_of_left_padding_are_those_of_what_is_read():
    hidden = torch.tensor([[[9.0], [1.0], [3.0]]])
    mask = torch.tensor([[0, 1, 1]])
    assert pooled(hidden, mask, "mean").tolist() == [[2.0]] and pooled(hidden, mask, "first").tolist() == [[1.0]]


def test_the_pooled_vectors_are_a_closed_form_and_layers_are_resumed(folder, data):
    model = built(folder, data)
    report = Engine(model, "head.input").evaluate(data.given, [AblateUnits([0, 3])]).report
    assert report.strategy == "closed_form" and report.parity_max_abs_diff < 1e-5
    report = Engine(model, "encoder.encoder.layer.0.output").evaluate(data.given, [AblateUnits([0])]).report
    assert report.strategy in ("resume", "suffix") and report.parity_max_abs_diff < 1e-5
    assert model.probe_sites == ("encoder.encoder.layer.0", "encoder.encoder.layer.1")


def trained(folder, data, **changes):
    model, kept = built(folder, data, **changes), Kept()
    spec = TrainingSpec(epochs=8, lr=0.02, n_evaluations=3, n_checkpoints=2)
    return model, train_classifier(model, data, spec, rng=np.random.default_rng(0), workspace=kept), kept


def test_a_frozen_encoder_is_run_once_and_its_head_learns_what_it_would_learn_on_it(folder, data, monkeypatch):
    start = built(folder, data)
    calls = []
    forward = type(start).features
    monkeypatch.setattr(type(start), "features", lambda self, *a, **k: calls.append(1) or forward(self, *a, **k))
    model, training, kept = trained(folder, data)
    assert len(calls) == len(data.splits), "each split once, however many epochs"
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, start.encoder.state_dict()[name])
    assert not torch.equal(model.head.weight, start.head.weight)
    # what is kept is the head; with the same folder it is the whole model again
    state = kept["checkpoint_e00008"]["model"]
    assert set(state) == {"head.weight", "head.bias"}
    again = built(folder, data)
    fit_state(again, state)
    rows = data.rows("id_val")
    with torch.no_grad():
        logits = data.take(rows).call(again)
        accuracy = (logits.argmax(1).numpy() == data.labels[rows]).mean()
        # the same training through the whole network, the encoder's part left out of the optimiser
        whole = built(folder, data)
    assert training.history[-1].id_val_acc == pytest.approx(accuracy)
    whole.frozen = False
    for part in whole.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0  # a frozen encoder stays in evaluation mode
    plain = train_classifier(
        whole,
        data,
        TrainingSpec(epochs=8, lr=0.02, n_evaluations=3, n_checkpoints=2),
        rng=np.random.default_rng(0),
        workspace=Kept(),
    )
    assert torch.allclose(whole.head.weight, model.head.weight, atol=1e-3)
    assert plain.history[-1].train_loss == pytest.approx(training.history[-1].train_loss, abs=1e-3)


def test_an_encoder_that_learns_is_kept_with_its_head(folder, data):
    model, training, kept = trained(folder, data, trained="all")
    assert training.history[-1].train_loss < training.history[0].train_loss
    state = kept["checkpoint_e00008"]["model"]
    assert set(state) == set(model.state_dict()) and any(name.startswith("encoder.") for name in state)
    start = built(folder, data, trained="all")
    assert any(not torch.equal(value, start.state_dict()[name]) for name, value in state.items() if "layer" in name)


def test_training_sees_padded_texts_as_experiments_do(folder, data):
    model = built(folder, data)
    taken = data.take(np.array([0, 30]))
    assert isinstance(taken, Given) and taken.names == (None, "attention_mask")
    assert torch.allclose(taken.call(model), data.given.call(model)[[0, 30]], atol=1e-6)


def test_what_does_not_fit_is_said(folder, data, tmp_path):
    with pytest.raises(ConfigError, match="tokens, the data use 9999"):
        TextClassifier(encoder=str(folder)).build(n_tokens=9999, n_classes=2, generator=torch.Generator())
    with pytest.raises(CheckpointError, match=r"model.encoder=.*needs a folder with config.json"):
        TextClassifier(encoder=str(tmp_path)).files()
    assert {name.split("/")[0] for name in TextClassifier(encoder=str(folder)).input_files()} == {"encoder"}


def test_an_encoder_is_read_once_and_nobody_gets_that_of_another(folder, data, monkeypatch):
    monkeypatch.setattr(hf, "_latest", {})
    first, second = built(folder, data), built(folder, data)
    assert first.encoder is not second.encoder
    first.encoder.get_input_embeddings().weight.data.zero_()
    assert built(folder, data).encoder.get_input_embeddings().weight.abs().sum() > 0
    read = []
    monkeypatch.setattr(hf, "_read", lambda *given: read.append(given))
    built(folder, data)
    assert not read, "the files are as they were"
    monkeypatch.undo()
    one, other = (hf.load(HF(path=str(folder), family="encoder").files(), "encoder", "", 2) for _ in range(2))
    weights = [network.get_input_embeddings().weight for network in (one, other)]
    assert one is not other and weights[0].data_ptr() == weights[1].data_ptr(), "kept once in memory"
    weights[0].data.zero_()
    again = hf.load(HF(path=str(folder), family="encoder").files(), "encoder", "", 2)
    assert again.get_input_embeddings().weight.abs().sum() > 0, "read anew where it was written to"
