from __future__ import annotations

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from paribus import seeds
from paribus.errors import CheckpointError
from paribus.models.loading import fit_state, load_state, start_from
from paribus.models.mlp import MLP
from paribus.models.small_cnn import SmallCNN

SHAPE = {"in_channels": 3, "n_classes": 2, "image_size": 16}


def small(seed=0, **fields):
    return SmallCNN(width=4, **fields).build(**SHAPE, generator=seeds.torch_rng(seed, "model"))


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_weights_survive_a_round_trip(tmp_path, suffix):
    model, file = small(1), tmp_path / f"weights{suffix}"
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, file) if suffix == ".safetensors" else torch.save(state, file)
    other = small(2)
    assert not same(model, other)
    fit_state(other, load_state(file))
    assert same(model, other)
    assert same(model, small(3, weights=str(file)))


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict", "algorithm"])
def test_weights_are_found_under_the_usual_keys(tmp_path, key):
    model, file = small(1), tmp_path / "weights.pt"
    torch.save({key: model.state_dict(), "epoch": 7, "best": 0.9}, file)
    assert set(load_state(file)) == set(model.state_dict())


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module.model."])
def test_prefixes_of_wrappers_are_taken_off(tmp_path, prefix):
    model, other = small(1), small(2)
    fit_state(other, {prefix + name: value for name, value in model.state_dict().items()})
    assert same(model, other)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_code_in_a_pickle_is_refused_in_one_line_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": small().state_dict(), "extra": Bomb()}, "new.pt")
    with open("old.pt", "wb") as stream:
        pickle.dump({"weights": Bomb()}, stream)
    for name in ("new.pt", "old.pt"):
        with pytest.raises(CheckpointError, match="refused, it holds code or objects") as caught:
            load_state(name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)
    assert not (tmp_path / "exploded").exists()


def test_a_whole_pickled_model_is_refused(tmp_path):
    torch.save(small(), tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="refused"):
        load_state(tmp_path / "model.pt")


@pytest.mark.parametrize("name", ["weights.pt", "weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"this is no checkpoint", b"PK\x03\x04broken"])
def test_damaged_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name) as caught:
        load_state(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_named(tmp_path):
    torch.save(small().state_dict(), tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"cut\.pt: damaged"):
        load_state(tmp_path / "cut.pt")


def test_missing_unknown_and_empty_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load_state(tmp_path / "none.pt")
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"unknown kind '\.bin'; valid: \.pt, \.pth, \.safetensors"):
        load_state(tmp_path / "weights.bin")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        load_state(tmp_path / "empty.pt")


def test_another_architecture_is_refused_with_the_first_differences():
    mlp = MLP(widths=[8]).build(n_features=768, n_classes=2, generator=seeds.torch_rng(0, "model"))
    with pytest.raises(CheckpointError, match=r"does not fit the architecture SmallCNNNet.*missing \(layer1"):
        fit_state(small(), mlp.state_dict())
    wider = SmallCNN(width=8).build(**SHAPE, generator=seeds.torch_rng(0, "model"))
    with pytest.raises(CheckpointError, match=r"fc\.weight is 2x32, the model has 2x16|layer1\.0\.weight is 8x3x3x3"):
        fit_state(small(), wider.state_dict())
    torn = small()
    before = {name: value.clone() for name, value in torn.state_dict().items()}
    with pytest.raises(CheckpointError):
        fit_state(torn, {**wider.state_dict(), "surplus": torch.zeros(1)})
    assert all(torch.equal(value, before[name]) for name, value in torn.state_dict().items())


def test_the_file_is_named_where_a_spec_asks_for_it(tmp_path):
    torch.save(small().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=r"weights\.pt: checkpoint does not fit"):
        MLP(weights=str(tmp_path / "weights.pt")).build(
            n_features=768, n_classes=2, generator=seeds.torch_rng(0, "model")
        )


def test_no_weights_leave_the_model_alone():
    model, reference = small(1), small(1)
    start_from(model, None)
    assert same(model, reference)
