"""Training on modular addition, through the loop and through the command line."""

from __future__ import annotations

import dataclasses
import os

import pytest
import torch

import paribus
from paribus.errors import CheckpointError, ConfigError
from paribus.experiments.recording import MemoryWorkspace
from paribus.experiments.tokens.train_modular_addition.loop import ModularTraining, train_modular
from paribus.experiments.tokens.train_modular_addition.spec import TrainModularAddition
from paribus.experiments.tokens.train_modular_addition.work import settings_of, summarise
from paribus.models.nets.modular_transformer import ModularTransformer
from paribus.subjects.tokens.circuits import all_pairs, answers

P = 7
SETTINGS = ModularTraining(40, 1e-2, 0.5, 5, 10, (20, 40))
SMALL = ["data.p=7", "model.d_model=16", "experiment.epochs=60"]


def train(workspace, settings=SETTINGS, keep=None, stop=None):
    network = ModularTransformer(P, d_model=16, generator=torch.Generator().manual_seed(0))
    pairs = all_pairs(P)

    def epochs(numbers):
        for number in numbers:
            if number == stop:
                raise KeyboardInterrupt
            yield number

    history = train_modular(
        *(network, pairs, answers(pairs, P), torch.arange(30), torch.arange(30, 49), settings),
        identity="same",
        workspace=workspace,
        keep=keep or (lambda epoch: None),
        progress=epochs,
    )
    return network, history


def test_a_killed_training_ends_with_the_same_weights():
    whole, expected = train(MemoryWorkspace())
    workspace, kept = MemoryWorkspace(), []
    with pytest.raises(KeyboardInterrupt):
        train(workspace, stop=27)
    again, history = train(workspace, keep=kept.append)
    assert history == expected and [one.epoch for one in history] == [0, 10, 20, 30, 40]
    assert kept == [40], "what was kept before the kill is there already"
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_the_state_of_another_training_is_refused():
    workspace = MemoryWorkspace()
    train(workspace)
    with pytest.raises(CheckpointError, match="other data, seed or settings"):
        train(workspace, dataclasses.replace(SETTINGS, lr=1e-3))


def test_a_training_that_never_answers_is_censored():
    _, history = train(MemoryWorkspace())
    summary = summarise(history, 0.99)
    assert summary["train_epoch"] is not None and summary["val_epoch"] is None
    assert summary["censored"] and summary["delay"] is None


def test_checkpoints_end_with_the_last_epoch():
    assert settings_of(TrainModularAddition(epochs=10, n_checkpoints=3)).keep == (3, 7, 10)
    with pytest.raises(ConfigError, match="n_checkpoints: must be at most epochs"):
        TrainModularAddition(epochs=2, n_checkpoints=3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("tokens"))
    yield paribus.run(["experiment=train_modular_addition", *SMALL, "seed=1"])
    os.chdir(before)


def test_the_command_line_trains_and_tells_the_delay(trained):
    history = trained.tables["history"].frame
    assert history["epoch"].tolist() == [0, 10, 20, 30, 40, 50, 60]
    assert history["train_acc"].iloc[-1] > history["train_acc"].iloc[0]
    assert list(trained.tables["checkpoints"].frame["epoch"]) == [15, 30, 45, 60]
    assert any("population: complete" in warning for warning in trained.diagnostics.warnings)
    assert trained.subject == "tokens" and trained.metrics["final_val_acc"] == history["val_acc"].iloc[-1]


def test_heads_of_the_trained_network_are_ablated_without_a_line_of_their_own(trained):
    words = ["experiment=ablate", "factor@experiment.factor=heads", "experiment.place=blocks.0.attn.out.input"]
    result = paribus.run([*words, "model=tracked", f"model.run={trained.run_id}", "experiment.ks=[2]", "stats=quick"])
    effects = result.tables["effects"].frame
    assert {f"head {number}" for number in range(4)} < set(effects["level"])
    assert result.subject == "tokens" and result.diagnostics.engine.parity_max_abs_diff < 1e-4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=small_cnn"], "SmallCNN is no network for tokens"),
        (["data.p=2"], "p: must be"),
        (["model.d_model=6"], "no multiple of n_heads"),
    ],
)
def test_wrong_requests_are_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        paribus.run(["experiment=train_modular_addition", "tracking=off", *words])
