"""The shortcut experiments on classifiers of other data: the columns of a table, and token ids."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError, DataError
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut.activation_steering import ActivationSteering
from paribus.experiments.shortcut.domain_swap import DomainSwap
from paribus.experiments.shortcut.neuron_ablation import NeuronAblation
from paribus.experiments.shortcut.probe_trajectory import ProbeTrajectory
from paribus.experiments.shortcut.subspace_ablation import SubspaceAblation
from paribus.measure import ArraySubject, Contexts
from paribus.stats.spec import StatsSpec

STATS = StatsSpec(n_bootstrap=100, n_permutations=199, n_null=20)
SIZES = {"train": 240, "id_val": 120, "val": 80, "ood": 160}
STRENGTH = 2.0


def drawn(seed=0):
    """Rows whose label is in column 0; column 1 is the hospital's, which goes with the label in training."""
    rng = np.random.default_rng(seed)
    split = np.repeat(list(SIZES), list(SIZES.values()))
    label = rng.integers(0, 2, len(split))
    domain = np.where(rng.random(len(split)) < 0.8, label, 1 - label)
    domain = np.where(split == "val", 2, np.where(split == "ood", 3, domain))
    own = np.array([-1.0, 1.0, 0.2, 0.8])[domain]
    x = rng.standard_normal((len(split), 4)).astype(np.float32)
    x[:, 0] += label - 0.5
    x[:, 1] = own + 0.3 * x[:, 1]
    splits = {name: np.flatnonzero(split == name) for name in SIZES}
    return x, label, domain, splits, np.arange(len(split)) // 2


def table(seed=0):
    x, label, domain, splits, cluster = drawn(seed)
    names = ("north", "south", "east", "west")
    return ArraySubject(
        Contexts(torch.from_numpy(x), cluster, label, domain, splits, output_names=("well", "ill"), domain_names=names)
    )


class Reads(nn.Module):
    """A known function of a table: the margin is column 0 plus ``STRENGTH`` times the hospital's column."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 2)
        with torch.no_grad():
            self.body.weight.copy_(torch.eye(4))
            self.body.bias.zero_()
            self.head.weight.copy_(torch.tensor([[0.0] * 4, [1.0, STRENGTH, 0.0, 0.0]]))
            self.head.bias.zero_()

    def forward(self, x):
        return self.head(self.body(x))


def run(experiment, contexts, network):
    setup = NetworkSetup(seed=1, stats=STATS, contexts=contexts, network=network, batch_limit=64)
    return perform(experiment, setup, MemoryRecorder())


def test_the_hospital_of_a_table_is_removed_and_the_label_kept():
    result = run(SubspaceAblation(methods=["leace", "random"]), table(), Reads())
    frame = result.tables["ablation"].frame.set_index(["method", "split"])
    x, label, _, splits, _ = drawn()
    rows = splits["ood"]
    margins = x[rows, 0] + STRENGTH * x[rows, 1]
    assert frame.loc[("leace", "ood"), "head_acc_raw"] == pytest.approx(((margins > 0) == label[rows]).mean())
    assert frame.loc[("leace", "ood"), "delta"] > 0.05 > abs(frame.loc[("random", "ood"), "delta"])
    assert frame.loc[("leace", "id_val"), "domain_probe_refit_ablated"] < 0.6
    assert frame.loc[("random", "id_val"), "domain_probe_refit_ablated"] > 0.9
    assert result.diagnostics.engine.strategy == "closed_form" and result.diagnostics.engine.parity_max_abs_diff < 1e-5


def test_the_unit_of_the_hospital_is_found():
    result = run(NeuronAblation(ks=[1, 2], ablations=["mean"], null_splits=[]), table(), Reads())
    units = result.tables["units"].frame
    assert units.loc[units["shortcut_rank"] == 0, "unit"].item() == 1
    frame = result.tables["k_sweep"].frame.set_index(["ranking", "k", "split"])
    assert frame.loc[("shortcut", 1, "ood"), "delta"] > 0.05


def test_steering_a_table_moves_the_margin_by_the_weight_of_the_hospital():
    result = run(ActivationSteering(directions=["mean_difference"], alphas=[-1.0, 1.0]), table(), Reads())
    row = result.tables["responses"].frame.iloc[0]
    assert row["threshold_only"] and row["margin_slope"] == pytest.approx(STRENGTH * row["sigma"], rel=0.1)


class OfTokens(nn.Module):
    """A small transformer on token ids, with weights drawn at random."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(12, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
        self.head = nn.Linear(8, 2)

    def forward(self, ids):
        return self.head(self.block(self.embedding(ids)).mean(1))


def tokens():
    """Sequences with a token of their source among others that lean to the label."""
    rng = np.random.default_rng(3)
    _, label, domain, splits, cluster = drawn(3)
    ids = rng.integers(0, 6, (len(label), 7))
    ids[:, 2] = np.where(rng.random(len(label)) < 0.9, 6 + label, ids[:, 2])
    ids[:, 0] = 8 + domain
    return ArraySubject(Contexts(torch.from_numpy(ids), cluster, label, domain, splits))


def test_all_of_them_run_on_token_ids_and_read_the_source():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = OfTokens().eval()
    contexts = tokens()
    probes = run(ProbeTrajectory(layers=["embedding", "block"], n_controls=1), contexts, network)
    frame = probes.tables["probes"].frame.set_index(["layer", "target"])
    assert frame.loc[("embedding", "domain"), "balanced_accuracy"] > 0.95
    for experiment in (
        SubspaceAblation(methods=["mean_difference"], site="block", refit_probes=False),
        ActivationSteering(site="block", directions=["mean_difference"], alphas=[-1.0, 1.0]),
        NeuronAblation(site="embedding", ks=[2], rankings=["shortcut"], ablations=["mean"], null_splits=[]),
    ):
        result = run(experiment, contexts, network)
        assert result.diagnostics.engine.parity_max_abs_diff < 1e-5
        assert "closed_form" not in result.diagnostics.engine.strategy or experiment.site == "block"
        assert result.aggregates.n_samples == SIZES["ood"]


def test_what_other_data_lack_is_named():
    with pytest.raises(DataError, match="contents that can be shown in another domain's style"):
        run(DomainSwap(), table(), Reads())
    x, label, _, splits, _ = drawn()
    alone = ArraySubject(Contexts(torch.from_numpy(x), label=label, splits=splits))
    with pytest.raises(DataError, match="a training split with two domains; this data set has the single domain 'all'"):
        run(SubspaceAblation(), alone, Reads())
    with pytest.raises(DataError, match="needs the label of a class for every example; this data set has none"):
        run(SubspaceAblation(), ArraySubject(Contexts(torch.from_numpy(x), domain=label, splits=splits)), Reads())
    amounts = Contexts(torch.from_numpy(x), label=x[:, 0], domain=label, splits=splits)
    with pytest.raises(DataError, match="needs the label of a class"):
        run(ProbeTrajectory(), ArraySubject(amounts), Reads())


@pytest.mark.parametrize(
    ("outputs", "message"), [(1, r"shape \(\d+, 1\); a margin needs"), (2, "labels reach class 2")]
)
def test_a_network_whose_outputs_are_no_classes_is_refused(outputs, message):
    x, label, domain, splits, _ = drawn()
    contexts = ArraySubject(Contexts(torch.from_numpy(x), label=label + (outputs > 1), domain=domain, splits=splits))
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, outputs))
    with pytest.raises(ConfigError, match=message):
        run(ActivationSteering(), contexts, network)
