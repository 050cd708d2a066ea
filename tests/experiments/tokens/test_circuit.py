"""The circuit of modular addition, on published weights, on planted circles and on none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from paribus.errors import ConfigError, DataError
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.tokens._circuit import embedding_of
from paribus.experiments.tokens.circuit_metrics.spec import CircuitMetrics
from paribus.experiments.tokens.subspace_isolation.spec import SubspaceIsolation
from paribus.models.modular_transformer import ModularTransformerSpec
from paribus.models.nets.modular_transformer import ModularTransformer
from paribus.stats.spec import StatsSpec
from paribus.subjects.tokens import circuits
from paribus.subjects.tokens.data import TokenData, modular_addition
from paribus.subjects.tokens.subject import TokenSubject

SHARED = Path(__file__).parents[4] / "shared" / "data" / "clock_pizza"
MODEL_A = "p99zdpze5l"
P = 11


def setup_of(network, data, n_null=20):
    return NetworkSetup(seed=0, stats=StatsSpec(n_null=n_null), contexts=TokenSubject(data), network=network, data=data)


def published():
    if not SHARED.is_dir():
        pytest.skip("the published weights are not here")
    config = json.loads((SHARED / f"config_{MODEL_A}.json").read_text())
    spec = ModularTransformerSpec(
        d_model=128, n_heads=4, attn_coeff=float(config["attn_coeff"]), weights=str(SHARED / f"model_{MODEL_A}.pt")
    )
    return spec.build(n_tokens=59, length=2, n_classes=59, generator=torch.Generator())


def ringed(seed=0):
    """A network of random weights whose embedding is two circles, of frequencies 2 and 3, and a little noise."""
    network = ModularTransformer(P, d_model=16, generator=torch.Generator().manual_seed(seed))
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(16, 4))).Q.T
    turn = 2 * np.pi * np.arange(P) / P
    parts = [3 * np.cos(2 * turn), 3 * np.sin(2 * turn), 2.6 * np.cos(3 * turn), 2.6 * np.sin(3 * turn)]
    embedding = np.stack(parts, 1) @ axes + 0.01 * rng.normal(size=(P, 16))
    network.embed.weight.data = torch.tensor(embedding, dtype=torch.float32)
    return network, axes


def test_the_published_network_gives_the_published_numbers():
    setup = setup_of(published(), modular_addition(59, 0.8, 0), n_null=0)
    recorder = MemoryRecorder()
    perform(CircuitMetrics(circles="components"), setup, recorder)
    row = recorder.tables["circuit_metrics"].frame.iloc[0]
    assert row["n_correct"] == 3481 and row["n_circles"] == 6
    assert row["distance_irrelevance"] == pytest.approx(0.1717364, abs=1e-6)
    assert row["gradient_symmetricity"] == pytest.approx(0.9936652, abs=1e-6)
    assert row["circularity"] == pytest.approx(0.99782, abs=1e-5)
    assert row["weight_norm"] == pytest.approx(22.854, abs=1e-3)
    table = recorder.tables["circles"].frame
    assert table["frequency"].tolist() == [17, 3, 15, 25, 6, 29]
    np.testing.assert_allclose(100 * table["clock"][:3], [75.41, 75.62, 75.38], atol=0.01)
    np.testing.assert_allclose(100 * table["pizza"][:3], [98.31, 98.31, 98.41], atol=0.01)
    np.testing.assert_allclose(100 * table["accompanying"][3:], [97.56, 97.23, 97.69], atol=0.01)
    assert table["accompanies"][3:].tolist() == [17, 3, 15], "each of these goes with one of the circles before"
    assert {"gradient_symmetricity", "n_circles"} <= set(recorder.metrics)


def test_isolation_equals_the_network_with_another_embedding():
    network, _ = ringed()
    data = modular_addition(P, 0.6, 0)
    recorder = MemoryRecorder()
    perform(SubspaceIsolation(circles="components"), setup_of(network, data, n_null=3), recorder)
    frame = recorder.tables["isolation"].frame
    assert set(frame["circle"]) == {"circle 2", "circle 3", "all 2 circles"}
    own = network.embed.weight.data.clone()
    components = circuits.Components.of(own.double().numpy())
    planes = {"circle 2": [0, 1], "circle 3": [2, 3], "all 2 circles": [0, 1, 2, 3]}
    pairs, labels = circuits.all_pairs(P), data.labels

    def logits(embedding):
        network.embed.weight.data = torch.tensor(embedding, dtype=torch.float32)
        with torch.no_grad():
            return network(pairs).double().numpy()

    def read(found):
        right = found[np.arange(len(found)), labels]
        return (found.argmax(1) == labels).mean(), (right - (found.sum(1) - right) / (P - 1)).mean()

    base = logits(own.numpy())
    for name, plane in planes.items():
        inside = components.coordinates[:, plane] @ components.directions[plane]
        for op, embedding in (("keep", components.mean + inside), ("remove", own.numpy() - inside)):
            found = logits(embedding)
            accuracy, margin = read(found)
            kl = (np.exp(log_softmax(base, 1)) * (log_softmax(base, 1) - log_softmax(found, 1))).sum(1).mean()
            rows = frame[(frame["circle"] == name) & (frame["op"] == op)]
            assert rows["null_kind"].tolist() == ["isotropic", "covariance"]
            np.testing.assert_allclose(rows["accuracy"], accuracy, atol=1e-12)
            np.testing.assert_allclose(rows["margin"], margin, atol=2e-5)
            np.testing.assert_allclose(rows["delta"], margin - read(base)[1], atol=4e-5)
            np.testing.assert_allclose(rows["kl"], kl, atol=1e-5)
    assert frame["ci_method"].str.startswith("none: these are all inputs").all()


def test_a_circle_among_random_planes_is_told_from_them_by_keeping():
    """The published network: kept, a pizza's circle beats every plane; removed, a plane of like covariance does so."""
    setup = setup_of(published(), modular_addition(59, 0.8, 0), n_null=8)
    recorder = MemoryRecorder()
    perform(SubspaceIsolation(together=False), setup, recorder)
    frame = recorder.tables["isolation"].frame.set_index(["circle", "op", "null_kind"]).sort_index()
    for circle in ("circle 17", "circle 3", "circle 15"):
        assert frame.loc[(circle, "keep"), "null_percentile"].tolist() == [100, 100]
        assert frame.loc[(circle, "remove", "isotropic"), "null_percentile"] == 0
        assert frame.loc[(circle, "remove", "covariance"), "null_low"] < -5, "such planes take as much away"
    assert recorder.tables["isolation_summary"].frame["n_circles"].tolist() == [6]


def test_a_network_without_circles_says_so():
    network = ModularTransformer(P, d_model=16, generator=torch.Generator().manual_seed(1))
    setup = setup_of(network, modular_addition(P, 0.6, 0))
    for experiment in (CircuitMetrics(), SubspaceIsolation()):
        recorder = MemoryRecorder()
        found = perform(experiment, setup, recorder)
        assert any("has no circle" in warning for warning in recorder.diagnostics.warnings)
        assert found.aggregates.custom["population"] == "complete"


def test_what_is_no_modular_addition_is_refused():
    data = modular_addition(P, 0.6, 0)
    network = ModularTransformer(P, d_model=16)
    assert embedding_of(setup_of(network, data), "auto") == "embed"
    with pytest.raises(ConfigError, match="these embeddings of 11 numbers: embed"):
        embedding_of(setup_of(network, data), "unembed")
    some = TokenData(data.ids[:50], data.labels[:50], data.clusters[:50], data.class_names, {"all": np.arange(50)}, P)
    with pytest.raises(DataError, match="all pairs of an odd p"):
        embedding_of(setup_of(network, some), "auto")
    with pytest.raises(ConfigError, match="name each once"):
        SubspaceIsolation(ops=["keep", "keep"])
