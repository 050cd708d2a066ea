"""Data without domains or with fewer splits: what is there is reported, what is needed is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError, DataError
from paribus.experiments.base import perform
from paribus.experiments.fitting import headline_split, why_not
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.setup_labelled import LabelledSetup
from paribus.experiments.shortcut.activation_steering import ActivationSteering
from paribus.experiments.shortcut.domain_swap import DomainSwap
from paribus.experiments.shortcut.neuron_ablation import NeuronAblation
from paribus.experiments.shortcut.probe_trajectory import ProbeTrajectory
from paribus.experiments.shortcut.subspace_ablation import SubspaceAblation
from paribus.experiments.training.train_classifier.spec import TrainClassifier
from paribus.stats.spec import StatsSpec
from paribus.subjects.images.data import ImageData
from paribus.subjects.images.subject import ImageSubject
from paribus.training.spec import TrainingSpec

STATS = StatsSpec(n_bootstrap=100, n_permutations=99, n_null=5)
EXPERIMENTS = [
    ActivationSteering(directions=["mean_difference"], alphas=[-1.0, 1.0]),
    SubspaceAblation(methods=["mean_difference"]),
    NeuronAblation(ks=[2], rankings=["shortcut"], ablations=["zero"]),
]


def data(*splits, n=160, domains=2, seed=0):
    rng = np.random.default_rng(seed)
    labels, domain = np.arange(n) % 2, np.arange(n) // 2 % domains
    images = rng.normal(0, 1, (n, 3, 6, 6)) + labels[:, None, None, None] + 0.8 * domain[:, None, None, None]
    sizes = np.array_split(np.arange(n), 4)
    rows = dict(zip(("train", "id_val", "val", "ood"), sizes, strict=True))
    return ImageData(
        torch.as_tensor(images, dtype=torch.float32),
        labels,
        domains=domain,
        domain_names=("a", "b")[:domains],
        splits={name: rows[name] for name in ("train", *splits)},
    )


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))


def run(experiment, images, **changes):
    setup = NetworkSetup(
        seed=0, stats=STATS, contexts=ImageSubject(images), network=network(), batch_limit=64, **changes
    )
    return perform(experiment, setup, MemoryRecorder())


@pytest.mark.parametrize("splits", [("id_val", "val"), ("id_val",), ("val",), ("val", "ood")], ids="+".join)
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.type)
def test_what_is_there_is_reported(experiment, splits):
    images = data(*splits)
    shown = headline_split(splits, images.offers)
    assert shown == ("ood" if "ood" in splits else "id_val" if "id_val" in splits else "val")
    result = run(experiment, images)
    text = " ".join(result.diagnostics.warnings)
    if experiment.type == "activation_steering":
        frame = result.tables["sweep"].frame
        there = {"id_val": "head_id_acc", "val": "head_val_acc", "ood": "head_ood_acc"}
        assert {name for name in there.values() if name in frame} == {there[split] for split in splits}
        assert set(frame["n"]) == {40} and result.figures[0].columns["y"] == [there[shown], "auroc"]
        assert frame["domain_probe_frozen"].isna().all() == ("id_val" not in splits)
        assert there[shown] in result.tables["sweep"].columns
        return
    table = result.tables["ablation" if experiment.type == "subspace_ablation" else "k_sweep"].frame
    assert set(table["split"]) == set(splits)
    assert result.aggregates.custom["headline_split"] == shown
    assert f"experiment.splits is {', '.join(splits)} here" in text


@pytest.mark.parametrize("experiment", [*EXPERIMENTS, ProbeTrajectory()], ids=lambda each: each.type)
def test_one_domain_is_too_few_and_said_by_name(experiment):
    need = f"{experiment.type} needs a training split with two domains; this data set has the single domain 'a' there"
    with pytest.raises(DataError, match=need):
        run(experiment, data("id_val", "ood", domains=1))


@pytest.mark.parametrize(
    ("experiment", "splits", "message"),
    [
        (EXPERIMENTS[0], (), "activation_steering needs one of the splits id_val, val, ood; this data set has train"),
        (ProbeTrajectory(), ("ood",), "needs a split id_val with two domains; this data set has train, ood"),
        (DomainSwap(), ("ood",), "needs contents that can be shown in another domain's style; this data set has none"),
    ],
)
def test_what_is_needed_is_named(experiment, splits, message):
    images = data(*splits)
    assert message in str(why_not(experiment, images.offers))
    with pytest.raises(DataError, match=message):
        run(experiment, images)


def test_splits_that_a_user_names_must_be_there():
    with pytest.raises(ConfigError, match=r"experiment\.splits: this data set has no split ood; it has train, id_val"):
        run(replace(EXPERIMENTS[1], splits=["ood"]), data("id_val"))


SPEC = TrainingSpec(epochs=3, n_evaluations=3, n_checkpoints=1, lr=0.01)


def train(images):
    setup = LabelledSetup(seed=0, stats=STATS, data=images, model=network(), batch_limit=64, training=SPEC)
    return perform(TrainClassifier(), setup, MemoryRecorder())


@pytest.mark.parametrize(
    ("splits", "chosen_by"),
    [(("id_val", "val"), "val_acc"), (("id_val",), "id_val_acc"), (("ood",), None), ((), None)],
    ids=["no ood", "id_val", "ood", "train only"],
)
def test_training_chooses_on_what_is_there(splits, chosen_by):
    result = train(data(*splits))
    history, kept = result.tables["history"].frame, result.tables["checkpoints"].frame
    for name in ("id_val", "val", "ood"):
        assert history[f"{name}_acc"].isna().all() == (name not in splits)
        assert (f"{name}_acc" in result.metrics) == (name in splits)
    assert kept["peak_ood"].any() == ("ood" in splits) and kept["peak_val"].any() == (chosen_by is not None)
    custom, text = result.aggregates.custom, " ".join(result.diagnostics.warnings)
    if chosen_by is None:
        assert custom["peak_val_epoch"] is None and "no checkpoint is peak_val" in text
    else:
        best = history.loc[history[chosen_by].idxmax(), "epoch"]
        assert custom["peak_val_epoch"] == best == kept.loc[kept["peak_val"], "epoch"].item()
        assert ("peak_val is the best accuracy on id_val" in text) == (chosen_by == "id_val_acc")
    assert ("best_ood" in result.metrics) == ("ood" in splits)
    figure = next(each for each in result.figures if each.name == "training_curves")
    assert list(figure.columns["y"]) == [
        f"{name}_acc" for name in ("train", "id_val", "val", "ood") if name in ("train", *splits)
    ]


def test_a_choice_on_what_is_reported_is_said():
    from paribus.experiments.checkpoints import Checkpoints

    images = data("id_val")
    training = train(images)
    state = network().state_dict()
    kept = Checkpoints(loader=lambda _: state, epochs=(1, 2, 3), key="x", history=training.tables["history"].frame)
    assert kept.select("peak_val")[0].chosen_on == "id_val"
    with pytest.raises(ConfigError, match="no history with ood_acc"):
        kept.select("peak_ood")
    result = run(EXPERIMENTS[1], images, checkpoints=kept)
    assert any(
        "selected by the accuracy on id_val, which is reported here" in each for each in result.diagnostics.warnings
    )
