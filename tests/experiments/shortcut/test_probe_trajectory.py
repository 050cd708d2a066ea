from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError, DataError
from paribus.experiments.base import perform
from paribus.experiments.checkpoints import Checkpoints
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut.probe_trajectory import ProbeTrajectory
from paribus.experiments.shortcut.probe_trajectory.work import permuted_by_cluster, probe_layers
from paribus.figures.draw import draw
from paribus.models.resnet18 import ResNet18
from paribus.results.evidence import Evidence
from paribus.stats.spec import StatsSpec
from paribus.subjects.images.data import ImageData
from paribus.subjects.images.subject import ImageSubject

STATS = StatsSpec(n_bootstrap=200, n_permutations=199, n_null=0)
N_DOMAINS = 3


def planted(seed=0, n=360, domain_gap=3.0, label_gap=3.0, strength=0.0):
    """Images [n, 2, 4, 4] whose first channel's mean tells the domain and whose second one's tells the label."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 2)
    domains = np.array([rng.choice(3, p=(1 + (2 * y - 1) * strength * np.array([1, -1, 0])) / 3) for y in labels])
    shift = np.stack([domain_gap * (domains - 1.0), label_gap * (labels - 0.5)], axis=1)
    images = shift[:, :, None, None] + rng.normal(size=(n, 2, 4, 4)) * 2.0
    thirds = np.arange(n)
    splits = {"train": thirds[: n // 2], "id_val": thirds[n // 2 : -20], "val": thirds[-20:-10], "ood": thirds[-10:]}
    return ImageData(
        inputs=torch.tensor(images, dtype=torch.float32),
        labels=labels,
        domains=domains,
        clusters=np.arange(n),
        domain_names=("a", "b", "c"),
        class_names=("no", "yes"),
        splits=splits,
        digest="planted",
        train_domains=(0, 1, 2),
    )


class Net(nn.Module):
    """First layer keeps both channels, the second only the one it is told to."""

    def __init__(self, keep=(1.0, 1.0)):
        super().__init__()
        self.layer1 = nn.Conv2d(2, 2, 1, bias=False)
        self.layer2 = nn.Conv2d(2, 2, 1, bias=False)
        self.fc = nn.Linear(2, 2)
        with torch.no_grad():
            self.layer1.weight.copy_(torch.eye(2)[:, :, None, None])
            self.layer2.weight.copy_(torch.diag(torch.tensor(keep))[:, :, None, None])

    def forward(self, images):
        return self.fc(self.layer2(self.layer1(images)).mean(dim=(2, 3)))


def run(data, model=None, experiment=None, **fields):
    setup = NetworkSetup(seed=0, stats=STATS, contexts=ImageSubject(data), network=model or Net(), **fields)
    return perform(experiment or ProbeTrajectory(), setup, MemoryRecorder())


def rows(result):
    return result.tables["probes"].frame.set_index(["layer", "target"])


def test_it_reads_what_is_planted_where_it_is_planted():
    frame = rows(run(planted(), Net(keep=(0.0, 1.0))))
    assert frame.loc[("layer1", "domain"), "balanced_accuracy"] > 0.95
    assert frame.loc[("layer1", "label"), "balanced_accuracy"] > 0.95
    assert frame.loc[("layer2", "label"), "balanced_accuracy"] > 0.95
    erased = frame.loc[("layer2", "domain")]
    assert erased["balanced_accuracy"] == pytest.approx(1 / 3, abs=0.12)
    assert erased["chance"] == pytest.approx(1 / 3)
    assert frame.loc[("layer2", "label"), "chance"] == 0.5


def test_nothing_is_read_where_there_is_nothing():
    covered = 0
    for seed in range(6):
        frame = rows(run(planted(seed, domain_gap=0.0, label_gap=0.0)))
        for target in ("domain", "label"):
            row = frame.loc[("layer1", target)]
            covered += row["ci_low"] <= row["chance"] <= row["ci_high"]
            assert abs(row["selectivity"]) < 0.25
    assert covered >= 9


def test_the_control_stays_at_chance():
    result = run(planted(), experiment=ProbeTrajectory(n_controls=8))
    frame = result.tables["probes"].frame
    assert np.allclose(frame["control_accuracy"], frame["chance"], atol=0.1)
    assert np.allclose(frame["selectivity"], frame["balanced_accuracy"] - frame["control_accuracy"])


def test_balance_keeps_the_label_from_telling_the_domain():
    confounded = planted(domain_gap=0.0, strength=0.9, n=900)
    balanced = rows(run(confounded)).loc[("layer1", "domain"), "balanced_accuracy"]
    plain = rows(run(confounded, experiment=ProbeTrajectory(fit_balance=False))).loc[("layer1", "domain")]
    assert balanced < 0.42
    assert plain["balanced_accuracy"] > 0.5
    assert plain["control_accuracy"] > 0.5  # permuted within the class: the label still tells as much
    assert abs(plain["selectivity"]) < 0.1


def test_intervals_hold_the_estimate_and_rows_are_held_out():
    data = planted(domain_gap=0.8, label_gap=0.8)
    frame = run(data).tables["probes"].frame
    assert (frame["balanced_accuracy"] < 1).all()
    assert (frame["ci_low"] <= frame["balanced_accuracy"]).all()
    assert (frame["balanced_accuracy"] <= frame["ci_high"]).all()
    assert ((frame["ci_adj_low"] < frame["ci_low"]) & (frame["ci_high"] < frame["ci_adj_high"])).all()
    assert set(frame["n"]) == {len(data.rows("id_val"))}


def trajectory():
    kept = {1: (0.0, 1.0), 7: (1.0, 1.0)}
    return Checkpoints(loader=lambda epoch: Net(kept[epoch]).state_dict(), epochs=tuple(kept), key="toy")


def test_over_training():
    result = run(planted(), checkpoints=trajectory(), checkpoint="all")
    frame = result.tables["probes"].frame.set_index(["epoch", "layer", "target"])
    assert len(frame) == 2 * 2 * 2
    assert frame.loc[(1, "layer2", "domain"), "balanced_accuracy"] < 0.5
    assert frame.loc[(7, "layer2", "domain"), "balanced_accuracy"] > 0.9
    custom = result.aggregates.custom
    assert (custom["domain_first_read_epoch"], custom["label_first_read_epoch"]) == (7, 1)
    assert custom["headline_layer"] == "layer2"
    assert {curve.name for curve in result.curves} == {
        "domain_probe_layer1",
        "domain_probe_layer2",
        "label_probe_layer1",
        "label_probe_layer2",
    }
    assert all(curve.levels == (1.0, 7.0) for curve in result.curves)


@pytest.mark.parametrize(("choice", "kinds"), [("final", {"forest"}), ("all", {"heatmap", "curve"})])
def test_figures_can_be_drawn(choice, kinds):
    result = run(planted(), checkpoints=trajectory(), checkpoint=choice)
    assert {figure.kind for figure in result.figures} == kinds
    for figure in result.figures:
        draw(figure, {name: table.frame for name, table in result.tables.items()})


def test_it_claims_no_cause():
    result = run(planted())
    assert result.evidence is Evidence.OBSERVATIONAL
    assert all(table.evidence is Evidence.OBSERVATIONAL for table in result.tables.values())


def test_layers_are_the_stages_of_the_model_or_those_asked_for():
    assert probe_layers(Net()) == ["layer1", "layer2"]
    resnet = ResNet18(width=2).build(in_channels=3, n_classes=2, image_size=32, generator=torch.Generator())
    assert probe_layers(resnet) == ["layer1", "layer2", "layer3", "avgpool"]
    frame = run(planted(), experiment=ProbeTrajectory(layers=["layer1"])).tables["probes"].frame
    assert set(frame["layer"]) == {"layer1"}
    with pytest.raises(ConfigError, match="name its modules"):
        probe_layers(nn.Sequential(nn.Linear(2, 2)))


def test_an_unknown_layer_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="layer1"):
        run(planted(), experiment=ProbeTrajectory(layers=["layr1"]))


def test_a_single_domain_is_refused():
    data = planted()
    alone = replace(data, domains=np.zeros_like(data.domains))
    with pytest.raises(DataError, match="single domain 'a'"):
        run(alone)


def test_permuting_keeps_clusters_whole_where_the_target_is_theirs():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(40), 5)
    hospital = (np.arange(40) % 4)[clusters]
    tumour = rng.integers(0, 2, 200)
    permuted = permuted_by_cluster(hospital, within=tumour, clusters=clusters, rng=rng)
    assert all(len(set(permuted[clusters == c])) == 1 for c in range(40))
    assert sorted(permuted) == sorted(hospital)
    assert not np.array_equal(permuted, hospital)


def test_permuting_a_varying_target_stays_within_the_other_variable():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(40), 5)
    domain = (np.arange(40) % 4)[clusters]
    label = rng.integers(0, 2, 200)
    permuted = permuted_by_cluster(label, within=domain, clusters=clusters, rng=rng)
    for k in range(4):
        assert permuted[domain == k].sum() == label[domain == k].sum()
    assert not np.array_equal(permuted, label)
