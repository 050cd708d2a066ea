"""Which checkpoints a choice selects, and the errors of choices that cannot be met."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from paribus.errors import CheckpointError, ConfigError
from paribus.experiments.checkpoints import Checkpoints
from paribus.experiments.present import present
from paribus.models.loading import fit_state


def kept(**changes):
    history = pd.DataFrame(
        {"epoch": [0, 1, 3, 5, 9], "val_acc": [0.5, 0.7, 0.9, 0.9, 0.8], "ood_acc": [0.5, 0.6, 0.55, 0.7, 0.9]}
    )
    given = {"loader": lambda epoch: {"epoch": epoch}, "epochs": (9, 1, 5), "history": history, "key": "run7"}
    return Checkpoints(**{**given, **changes})


@pytest.mark.parametrize(
    ("choice", "epochs"),
    [("all", [1, 5, 9]), ("final", [9]), ("epoch:5", [5]), ("peak_val", [5]), ("peak_ood", [9])],
)
def test_choice_selects_among_the_epochs_that_were_kept(choice, epochs):
    chosen = kept().select(choice)
    assert [checkpoint.epoch for checkpoint in chosen] == epochs
    assert [checkpoint.load()["epoch"] for checkpoint in chosen] == epochs
    assert len({checkpoint.key for checkpoint in chosen}) == len(epochs)
    assert all(checkpoint.on_reported_split == (choice == "peak_ood") for checkpoint in chosen)


def test_a_recorded_best_epoch_goes_before_the_history():
    assert kept(best={"peak_val": 1}).select("peak_val")[0].epoch == 1


def test_the_earliest_of_equals_is_taken():
    assert kept(epochs=(3, 5)).select("peak_val")[0].epoch == 3


@pytest.mark.parametrize(
    ("choice", "changes", "words"),
    [
        ("peak_vall", {}, "did you mean 'peak_val'"),
        ("epoch:x", {}, "'x' is not an epoch"),
        ("epoch:4", {}, "not kept; kept: 1, 5, 9"),
        ("peak_val", {"history": None}, "no history with val_acc"),
        ("peak_ood", {"history": pd.DataFrame({"epoch": [1], "val_acc": [1.0]})}, "no history with ood_acc"),
        ("peak_val", {"history": pd.DataFrame({"epoch": [2], "val_acc": [1.0]})}, "was evaluated"),
    ],
)
def test_a_choice_that_cannot_be_met_is_refused_in_one_line(choice, changes, words):
    with pytest.raises(ConfigError) as caught:
        kept(**changes).select(choice)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_checkpoints_and_a_best_that_is_missing_are_refused():
    with pytest.raises(ConfigError, match="there are none"):
        kept(epochs=())
    with pytest.raises(ConfigError, match="peak_val is epoch 3"):
        kept(best={"peak_val": 3})


def test_a_network_with_only_its_present_weights_is_not_copied_and_must_stay_as_it_is():
    network = torch.nn.BatchNorm1d(2)
    single = present(network, key="ones")
    state = single.select("peak_val")[0].load()
    assert state["weight"].data_ptr() == network.weight.data_ptr()
    with pytest.raises(ConfigError):
        single.select("peak_ood")
    network.running_mean += 1  # a network may count for itself: its buffers are those of the start again
    fit_state(network, state)
    assert network.running_mean.tolist() == [0, 0] and single.select("all")[0].epoch == 0
    assert single.select("final")[0].load() is state, "nothing was written to the weights"
    with torch.no_grad():
        network.weight.mul_(2)
    with pytest.raises(CheckpointError, match=r"weights of the network were changed while it was examined \(weight\)"):
        single.select("final")[0].load()
