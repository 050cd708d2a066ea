from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from paribus import seeds
from paribus.errors import CheckpointError, ConfigError, ExperimentError
from paribus.experiments.recording import MemoryWorkspace
from paribus.models.small_cnn import SmallCNN
from paribus.subjects.images.digits_scanners import DigitsScanners
from paribus.training.loops.classifier import train_classifier
from paribus.training.loops.measure import effective_rank
from paribus.training.loops.workspace import checkpoint_name
from paribus.training.spec import TrainingSpec

SPEC = TrainingSpec(epochs=5, n_evaluations=4, n_checkpoints=2)
GROKKING = replace(SPEC, condition="grokking", weight_decay=0.3, init_scale=2.0, grokfast=True)


@pytest.fixture(scope="module")
def data():
    return DigitsScanners(n_train=100, n_eval=24, eval_renderings=1).load()


def network(norm="batch"):
    model = SmallCNN(width=4, norm=norm).build(
        in_channels=3, n_classes=2, image_size=16, generator=seeds.torch_rng(0, "model")
    )
    return model


def train(data, spec=SPEC, workspace=None, model=None, **options):
    model = model or network()
    workspace = workspace or MemoryWorkspace()
    training = train_classifier(model, data, spec, rng=seeds.rng(0, "training"), workspace=workspace, **options)
    return training, model, workspace


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("spec", [SPEC, GROKKING], ids=lambda spec: spec.condition)
@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("last_epoch", [1, 3, 5])
def test_a_killed_training_goes_on_to_the_very_same_end(data, spec, norm, last_epoch):
    spec = replace(spec, resume_seconds=0.0)
    whole, reference, kept = train(data, spec, model=network(norm))

    workspace = MemoryWorkspace()

    def progress(epochs):
        for epoch in epochs:
            if epoch > last_epoch:
                raise Killed
            yield epoch

    if last_epoch < spec.epochs:
        with pytest.raises(Killed):
            train(data, spec, workspace, model=network(norm), progress=progress)
    else:
        train(data, spec, workspace, model=network(norm))
    resumed, model, _ = train(data, spec, workspace, model=network(norm))
    assert resumed.resumed_from == last_epoch
    assert equal(model, reference)
    assert resumed.history == whole.history
    assert resumed.kept == whole.kept
    for epoch in whole.kept:
        a, b = (store.load(checkpoint_name(epoch))["model"] for store in (workspace, kept))
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_kept_state_survives_safe_serialisation(data, tmp_path):
    """What a workspace writes with torch is read back with weights_only, so it must hold nothing but plain values."""

    class OnDisk(MemoryWorkspace):
        def save(self, name, state):
            torch.save(state, tmp_path / name)

        def load(self, name):
            return torch.load(tmp_path / name, weights_only=True) if (tmp_path / name).exists() else None

    def stop_early(epochs):
        yield from list(epochs)[:3]
        raise Killed

    spec = replace(GROKKING, resume_seconds=0.0)
    _, reference, _ = train(data, spec)
    with pytest.raises(Killed):
        train(data, spec, OnDisk(), progress=stop_early)
    _, model, _ = train(data, spec, OnDisk())
    assert equal(model, reference)


def test_training_twice_gives_the_same_weights_and_other_seeds_others(data):
    _, a, _ = train(data)
    torch.manual_seed(99)
    _, b, _ = train(data)
    assert equal(a, b)
    c = network()
    train_classifier(c, data, SPEC, rng=seeds.rng(1, "training"), workspace=MemoryWorkspace())
    assert not equal(a, c)


def test_a_kept_state_of_another_training_is_refused(data):
    _, _, workspace = train(data)
    with pytest.raises(CheckpointError, match="other data, seed or settings"):
        train(data, replace(SPEC, lr=0.1), workspace)
    train(data, replace(SPEC, resume_seconds=1.0), workspace)  # no matter of science: taken up


def test_what_is_kept_and_measured(data):
    training, model, workspace = train(data)
    epochs = [evaluation.epoch for evaluation in training.history]
    assert epochs == [1, 2, 3, 5]
    assert {1, 5, training.peak_val_epoch, training.peak_ood_epoch} == set(training.kept)
    assert set(workspace.names()) == {"resume", *(checkpoint_name(epoch) for epoch in training.kept)}
    final = workspace.load("checkpoint_e00005")
    assert final["epoch"] == 5
    assert all(torch.equal(final["model"][name], value) for name, value in model.state_dict().items())
    last = training.history[-1]
    for split, measured in (("train", last.train_acc), ("id_val", last.id_val_acc), ("ood", last.ood_acc)):
        rows = data.rows(split)
        with torch.no_grad():
            predicted = model.eval()(data.take(rows)).argmax(1).numpy()
        assert measured == pytest.approx(np.mean(predicted == data.labels[rows]))
    norm = np.sqrt(sum(float((p.detach() ** 2).sum()) for p in model.parameters()))
    assert last.weight_norm == pytest.approx(norm, rel=1e-5)
    assert 1 <= last.feature_rank <= 16


def test_peaks_are_the_earliest_of_the_best(data):
    training, _, _ = train(data, replace(SPEC, epochs=12, n_evaluations=12))
    accuracies = [evaluation.val_acc for evaluation in training.history]
    assert training.history[int(np.argmax(accuracies))].epoch == training.peak_val_epoch


def test_the_best_weights_are_those_of_their_epoch(data):
    spec = replace(SPEC, epochs=12, n_evaluations=12, n_checkpoints=1)
    training, model, workspace = train(data, spec)
    rows = data.rows("val")
    kept = workspace.load(checkpoint_name(training.peak_val_epoch))
    other = network()
    other.load_state_dict(kept["model"])
    with torch.no_grad():
        predicted = other.eval()(data.take(rows)).argmax(1).numpy()
    best = max(evaluation.val_acc for evaluation in training.history)
    assert np.mean(predicted == data.labels[rows]) == pytest.approx(best)


def test_it_learns_what_there_is_to_learn():
    data = DigitsScanners(strength=0.0, n_train=400, n_eval=100).load()
    training, _, _ = train(data, TrainingSpec(epochs=15), model=network("none"))
    assert training.history[-1].id_val_acc > 0.7 > 0.65 > training.history[0].id_val_acc


def test_a_loss_that_is_no_number_ends_the_training_with_its_epoch(data):
    with pytest.raises(ExperimentError, match=r"loss became (nan|inf) in epoch \d"):
        train(data, replace(SPEC, lr=1e12), model=network("none"))


def test_evaluating_leaves_train_mode_and_hooks_as_they_were(data):
    _, model, _ = train(data)
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_images_that_would_not_fit_are_fetched_batch_by_batch(data, monkeypatch):
    from paribus.training.loops import measure

    monkeypatch.setattr(measure, "KEEP_BYTES", 0)
    _, fetched, _ = train(data)
    monkeypatch.undo()
    _, kept, _ = train(data)
    assert equal(fetched, kept)


def test_a_plain_model_is_given_plain_images(data):
    """Its forward pass may need them: a view of a map whose channels come last fails."""

    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, stride=4)
            self.fc = nn.Linear(4 * 4 * 4, 2)

        def forward(self, images):
            return self.fc(self.conv(images).view(len(images), -1))

    training, model, _ = train(data, replace(SPEC, epochs=2), model=Viewing())
    assert len(training.history) == 2
    assert all(p.is_contiguous() for p in model.parameters())


def test_a_model_without_a_linear_layer_has_no_feature_rank(data):
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, images):
            return self.conv(images).mean(dim=(2, 3))

    training, _, _ = train(data, replace(SPEC, epochs=1), model=Bare())
    assert np.isnan(training.history[0].feature_rank)


def test_weight_decay_shrinks_matrices_and_spares_biases(data):
    strong = replace(SPEC, weight_decay=50.0, lr=1e-3, epochs=8)
    training, model, _ = train(data, strong)
    plain, reference, _ = train(data, replace(strong, weight_decay=0.0))
    assert training.history[-1].weight_norm < 0.9 * plain.history[-1].weight_norm
    for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
        assert float(norm.weight.detach().mean()) > 0.9


def test_effective_rank_of_known_spectra():
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(500, 4)) - 0)
    basis -= basis.mean(0)
    basis, _ = np.linalg.qr(basis)
    equal_shares = torch.from_numpy(basis @ np.diag([3.0, 3.0, 3.0, 3.0]))
    assert effective_rank(equal_shares) == pytest.approx(4.0, rel=1e-6)
    assert effective_rank(torch.from_numpy(basis @ np.diag([1.0, 0, 0, 0]))) == pytest.approx(1.0, rel=1e-6)
    assert effective_rank(torch.ones(10, 3)) == 0.0
    assert np.isnan(effective_rank(torch.full((10, 3), float("nan"))))


def test_more_checkpoints_than_evaluations_are_refused():
    with pytest.raises(ConfigError, match="n_checkpoints: must be at most n_evaluations"):
        TrainingSpec(n_evaluations=3, n_checkpoints=4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mixed", [False, True])
def test_training_on_cuda(data, mixed):
    spec = replace(SPEC, epochs=20, mixed_precision=mixed)
    training, model, workspace = train(data, spec, model=network("none"), device="cuda")
    assert training.history[-1].train_acc > 0.7
    assert next(model.parameters()).is_cuda
    assert not next(iter(workspace.load("checkpoint_e00020")["model"].values())).is_cuda
    again, _, _ = train(data, spec, copy.deepcopy(workspace), model=network("none"), device="cuda")
    assert again.history == training.history
