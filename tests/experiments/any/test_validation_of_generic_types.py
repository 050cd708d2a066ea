"""``split_half`` and ``shuffle_null`` of the generic types: recomputed, planted, calibrated, and refused by name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError
from paribus.experiments.any.ablate.spec import Ablate
from paribus.experiments.any.cores.spec import Cores
from paribus.experiments.any.grid.spec import Grid
from paribus.experiments.any.interact.spec import Interact
from paribus.experiments.any.patch.spec import Patch
from paribus.experiments.any.probe.spec import Probe
from paribus.experiments.any.swap.spec import Swap
from paribus.experiments.any.sweep.spec import Sweep
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.validation._agreement import halved, interventional
from paribus.experiments.validation._shuffles import flipped_means, judged
from paribus.experiments.validation.shuffle_null import ShuffleNull
from paribus.experiments.validation.split_half import SplitHalf
from paribus.factors import spec as factors
from paribus.measure import Contexts

from . import sequences
from .conftest import performed, setup_of

ZERO = factors.Units(ablation="zero")


class Products(nn.Module):
    """The output is the sum of its units, each the product of two inputs: taking unit k away costs x_k * w_k."""

    def __init__(self, k):
        super().__init__()
        self.gate = nn.Identity()
        self.k = k

    def forward(self, x):
        return self.gate(x[:, : self.k] * x[:, self.k :]).sum(1, keepdim=True)


def products(seed, *, pattern=0.0, k=8, n_clusters=60, size=2):
    """Contexts in which units do nothing on average but ``pattern``; contexts of a cluster are alike."""
    rng = np.random.default_rng(seed)
    n = n_clusters * size
    cluster = np.arange(n) // size
    effect = rng.normal(size=(n_clusters, k))[cluster] + rng.normal(size=(n, k)) + pattern * np.linspace(-1, 1, k)
    x = np.concatenate([effect, np.ones((n, k))], axis=1).astype(np.float32)
    return setup_of(Products(k), Contexts(inputs=x, cluster=cluster), seed=seed), -effect


ALONE = Ablate(factor=ZERO, place="gate", ks=[2, 4])


def validated(kind, target, setup, **fields):
    experiment = kind(target=target, **fields)
    experiment.validate(setup)
    return perform(experiment, setup, MemoryRecorder(), subject="arrays")


def on_sequences():
    torch.manual_seed(0)
    return setup_of(sequences.Transformer(), sequences.contexts(), subject=sequences.Sequences, seed=1)


TARGETS = {
    "sweep": (Sweep(factor=factors.Directions(), place="blocks.0"), "effects"),
    "swap": (Swap(factor=sequences.Token(tokens=[1, 2, 3]), n_contexts=0), "effects"),
    "ablate": (Ablate(factor=factors.Units(), place="head.input", ks=[3]), "effects"),
    "grid": (
        Grid(
            factor=factors.Directions(alphas=[-2, -1, 1]),
            other=factors.Directions(method="pc", alphas=[1, 2]),
            place="blocks.0",
        ),
        "interactions",
    ),
    "interact": (Interact(factor=factors.Units(ids=list(range(8))), place="blocks.0", n_units=5), "effects"),
    "patch": (
        Patch(factor=factors.Patch(donors="any"), places=["embed", "blocks.0", "blocks.1", *(
            f"blocks.0|pos:{one}" for one in range(4))], n_donors=0),
        "effects",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
def test_the_vector_is_the_table_of_the_target_bit_for_bit(name):
    target, table = TARGETS[name]
    setup = on_sequences()
    own, _ = performed(target, setup)
    rows = own.tables[table].frame
    if name == "ablate":
        rows = rows[rows["k"] == 1]
    if name == "swap":
        rows = rows[rows["from"] != "any"]
        if (rows["n"] < 30).any():
            setup = on_sequences()
    found = target.measured_vector(setup, MemoryRecorder())
    assert list(found.labels) == rows["level"].tolist()
    assert found.values.tolist() == rows["mean_delta"].tolist()
    assert found.sums.n.tolist() == rows["n"].tolist()
    assert found.sums.means == pytest.approx(found.values, rel=1e-12, abs=1e-12)
    assert found.sums.counts.any(axis=0).all()
    assert target.promised_vector(setup).n_entries >= (found.sums.n >= 30).sum()


@pytest.mark.parametrize("name", ["sweep", "grid", "interact", "ablate"])
def test_both_validations_say_what_they_are_about(name):
    target, _ = TARGETS[name]
    setup = on_sequences()
    for kind in (SplitHalf, ShuffleNull):
        result = validated(kind, target, setup, n_shuffles=39)
        custom = result.aggregates.custom
        assert custom["null"] == "signs of whole clusters flipped" and custom["target"] == name
        assert custom["split"] == "half of the clusters of clean; the other half was fitted on"
        assert str(result.evidence) == "interventional" and 0 < custom["p"] <= 1
        assert result.aggregates.n_samples == result.diagnostics.n_contexts_tested == custom["n_fitted_on"]
        assert result.diagnostics.engine.parity_max_abs_diff < 1e-4
        text = " ".join([*(each.description for each in result.tables.values()), *(f.caption for f in result.figures)])
        assert "build" not in text


def reported(setup):
    cluster = setup.contexts.cluster
    ids = np.unique(cluster)
    return np.flatnonzero(~np.isin(cluster, setup.rng("halves").permutation(ids)[: len(ids) // 2]))


def test_halves_and_flips_are_those_of_a_loop_over_contexts():
    """Nothing of the streaming is used here: single differences, one half and one pattern of signs at a time."""
    setup, effect = products(3, pattern=0.5)
    rows = reported(setup)
    cluster = setup.contexts.cluster[rows]
    ids = np.unique(cluster)
    halves = validated(SplitHalf, ALONE, setup, n_splits=12, n_shuffles=39)
    order = [int(label.removeprefix("unit ")) for label in halves.tables["entries"].frame["entry"]]
    differences = effect[rows][:, order]
    assert halves.tables["entries"].frame["effect"].to_numpy() == pytest.approx(differences.mean(0), abs=1e-6)
    first = setup.rng("split_half").permuted(np.tile(np.arange(len(ids)) < len(ids) // 2, (12, 1)), axis=1)

    def agreement(values):
        found = []
        for half in first:
            inside = np.isin(cluster, ids[half])
            found.append(np.corrcoef(values[inside].mean(0), values[~inside].mean(0))[0, 1])
        return np.array(found)

    table = halves.tables["split_correlations"].frame
    assert table.loc[table["kind"] == "observed", "r"].to_numpy() == pytest.approx(agreement(differences), abs=1e-5)
    rng = setup.rng("split_half_null")
    null = []
    for _ in range(39):
        signs = rng.choice((-1.0, 1.0), len(ids))
        null.append(agreement(differences * signs[np.searchsorted(ids, cluster)][:, None]).mean())
    assert table.loc[table["kind"] == "null", "r"].to_numpy() == pytest.approx(np.array(null), abs=1e-5)
    assert halves.aggregates.custom["p"] == (1 + (np.array(null) >= agreement(differences).mean()).sum()) / 40

    found = validated(ShuffleNull, ALONE, setup, n_shuffles=39)
    rng = setup.rng("shuffle_null")
    flips = rng.choice((-1.0, 1.0), (39, len(ids)))
    drawn = np.array([(differences * signs[np.searchsorted(ids, cluster)][:, None]).mean(0) for signs in flips])
    every = np.concatenate([differences.mean(0)[None], drawn])
    size = np.abs(every) / np.sqrt((every**2).mean(0))
    frame = found.tables["entries"].frame
    assert frame["p"].to_numpy() == pytest.approx((size >= size[0] - 1e-6).mean(0))
    assert frame["p_adj"].to_numpy() == pytest.approx((size.max(1)[:, None] >= size[0] - 1e-6).mean(0))


def test_a_planted_pattern_is_found_stable_and_the_units_that_carry_it_are_named():
    setup, _ = products(1, pattern=1.5)
    halves = validated(SplitHalf, ALONE, setup).aggregates.custom
    assert halves["passed"] and halves["mean_r"] > 0.8 and halves["n_entries"] == 8
    beyond = validated(ShuffleNull, ALONE, setup).aggregates.custom
    assert beyond["passed"] and {"unit 0", "unit 7"} <= set(beyond["entries_beyond_null"])
    assert not {"unit 3", "unit 4"} & set(beyond["entries_beyond_null"])


def test_noise_passes_as_often_as_the_level_says():
    """120 vectors of 8 units that do nothing on average, measured in one go (99.9 % binomial bounds)."""
    setup, _ = products(5, k=960)
    target = dataclasses.replace(ALONE, n_units=960)
    vector = target.measured_vector(setup, MemoryRecorder())
    rng = np.random.default_rng(0)
    order = rng.permutation(960).reshape(120, 8)
    p = {"split_half": [], "rms": [], "max_abs": []}
    for rows in order:
        sums = vector.sums.rows(rows)
        first = halved(sums.sums.shape[1], 10, rng)
        p["split_half"].append(interventional(sums, first, 39, rng).p)
        of = judged(sums.means, flipped_means(sums, 39, rng), centred=True).p_of
        p["rms"].append(of["rms"])
        p["max_abs"].append(of["max_abs"])
    for name, values in p.items():
        assert 0.0 < np.mean(np.array(values) <= 0.05) <= 0.135, name
        assert 0.35 <= np.mean(np.array(values) <= 0.5) <= 0.65, name


def test_many_clusters_are_joined_alike_for_every_entry():
    """Above 512 clusters the units of all rows must be the same ones, or halves of two entries overlap."""
    n = 1500
    x = np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32)
    setup = setup_of(Products(4), Contexts(inputs=x, cluster=np.arange(n)))
    target = Patch(factor=factors.Patch(donors="any"), places=[f"gate|channel:{one}" for one in range(4)], n_contexts=0)
    target.validate(setup)
    found = target.measured_vector(setup, MemoryRecorder()).sums
    assert found.sums.shape == (4, 512)
    assert (found.counts == found.counts[0]).all()
    # the four places add up to the whole difference in every context, so in every unit, if units are alike
    whole = dataclasses.replace(target, places=["gate"]).measured_vector(setup, MemoryRecorder()).sums
    assert found.sums.sum(0) == pytest.approx(whole.sums[0], abs=1e-3)
    ablated = Ablate(factor=ZERO, place="gate", ks=[]).measured_vector(setup, MemoryRecorder())
    assert ablated.sums.sums.shape[1] <= 512 and ablated.n_contexts == 750


def test_sets_of_the_strongest_are_no_entries_of_their_own():
    setup, _ = products(0)
    assert validated(ShuffleNull, ALONE, setup, n_shuffles=39).aggregates.n_conditions == 8


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (lambda: Sweep(factor=factors.Directions(alphas=[1, 2]), place="blocks.0"), "2 entries that can be judged"),
        (lambda: Interact(factor=factors.Units(), place="blocks.0", n_units=3), "interact has 3 entries"),
        (lambda: Swap(factor=sequences.Token(tokens=[1, 2])), "swap has [02] entries"),
        (lambda: Ablate(factor=factors.Units(), place="blocks.0", n_contexts=29), "29 contexts are reported"),
    ],
)  # fmt: skip
def test_what_cannot_have_enough_entries_is_refused_before_anything_is_measured(target, words, monkeypatch):
    from paribus.measure.executor import Executor

    setup, experiment = on_sequences(), SplitHalf(target=target())
    monkeypatch.setattr(Executor, "stream", lambda *_, **__: pytest.fail("measured"))
    with pytest.raises(ConfigError, match=words):
        experiment.validate(setup)


def test_several_networks_and_few_clusters_are_refused_before_anything_is_measured():
    setup, _ = products(0)
    with pytest.raises(ConfigError, match="checkpoint=all: a vector of effects is of one network"):
        SplitHalf(target=ALONE).validate(dataclasses.replace(setup, checkpoint="all"))
    few, _ = products(0, n_clusters=16, size=8)
    with pytest.raises(ConfigError, match="shuffle_null: 8 clusters are too few; at least 12"):
        ShuffleNull(target=ALONE).validate(few)


def test_signs_of_a_divergence_are_not_flipped_while_its_halves_may_be_compared():
    target = Ablate(factor=factors.Units(), place="blocks.0", readout="kl")
    with pytest.raises(ConfigError, match="a divergence \\(readout=kl\\) is never below 0"):
        ShuffleNull(target=target).validate(on_sequences())
    SplitHalf(target=target).validate(on_sequences())


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Cores(factor=ZERO), "cores has no effect vector: which sets are cores differs.*validate ablate"),
        (Probe(), "probe has no effect vector: a probe is fitted to classes.*permuted classes"),
    ],
)
def test_types_without_a_vector_are_refused_with_the_reason(target, words):
    with pytest.raises(ConfigError, match=words):
        SplitHalf(target=target)


def test_a_validation_is_about_what_its_target_is_about():
    generic = SplitHalf(target=ALONE)
    assert (generic.subject, generic.subjects, generic.may_lack) == ("any", (), ("feature",))
    assert (SplitHalf.subject, SplitHalf.subjects) == ("builds", ("any",))
    again = dataclasses.replace(generic, n_splits=20)
    assert again.subject == "any" and again.evidence == ALONE.evidence
