"""An autoencoder trained at any place: a planted dictionary is found, and its latents are read as it was trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

import paribus
from paribus.errors import CheckpointError, ConfigError, DataError
from paribus.experiments.base import perform
from paribus.experiments.feature_survey import FeatureSurvey
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.train_sae import TrainSAE
from paribus.factors.spec import Latent as LatentFactor
from paribus.features.readable import Readable
from paribus.measure import Contexts
from paribus.measure.binding import Binding
from paribus.models.autoencoders import packed, random_sae, sae_from_state
from paribus.models.loading import weights_in
from paribus.subjects.tokens.data import TokenData
from paribus.subjects.tokens.subject import TokenSubject

from .conftest import setup_of

D, TRUE, SIDE = 12, 18, 3
"""Width of the place, planted features, and positions of a map's side."""
SCALE = 40.0
"""What the values of the place are multiplied by: nothing that is trained may depend on it."""
QUICK = {"n_features": 24, "steps": 900, "n_evaluations": 3, "dead_after": 60, "n_vectors": 3000, "lr": 5e-3}


class Map(nn.Module):
    """The input is what is seen at ``gate``, a map ``[n, d, side, side]``; two outputs from its mean."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Identity()
        self.out = nn.Linear(D, 2)

    def forward(self, x):
        return self.out(self.gate(x).flatten(2).mean(2))


def dictionary():
    return nn.functional.normalize(torch.randn(TRUE, D, generator=torch.Generator().manual_seed(0)), dim=1)


def contexts(n=400, seed=1):
    """Maps whose positions are sparse sums of planted directions; the label is whether planted feature 0 is there."""
    draw = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % 2
    active = torch.rand(n, SIDE * SIDE, TRUE, generator=draw) < 0.08
    active[..., 0] = label[:, None].bool() & (torch.rand(n, SIDE * SIDE, generator=draw) < 0.4)
    amount = active * (1 + torch.rand(active.shape, generator=draw))
    x = SCALE * (amount @ dictionary() + 0.3)
    return Contexts(
        inputs=x.transpose(1, 2).reshape(n, D, SIDE, SIDE), cluster=np.arange(n) // 4, label=label.numpy(),
        splits={"train": np.arange(n - 100), "test": np.arange(n - 100, n)},
    )  # fmt: skip


def trained(**fields):
    setup, recorder = setup_of(Map(), contexts()), MemoryRecorder()
    experiment = TrainSAE(place="gate", **{**QUICK, **fields})
    experiment.validate(setup)
    result = perform(experiment, setup, recorder, subject="arrays")
    kept = recorder.workspace.load("autoencoder_1")
    assert recorder.workspace.published == ["checkpoint_e00000", "autoencoder_1"]
    return result, kept, sae_from_state(weights_in(kept), clamp=6.0, where="here")


@pytest.fixture(scope="module")
def standard():
    return trained(l1=0.06)


@pytest.fixture(scope="module")
def top_k():
    return trained(top_k=2)


def matched(sae):
    """Return the cosine of each planted direction with the decoder column assigned to it, each column once."""
    cosine = (dictionary() @ sae.directions().T).detach().numpy()
    return cosine[linear_sum_assignment(-cosine)]


@pytest.mark.parametrize("kind", ["standard", "top_k"])
def test_a_planted_dictionary_is_recovered_at_the_positions_of_a_map(kind, request):
    result, _, sae = request.getfixturevalue(kind)
    found = matched(sae)
    assert np.median(found) > 0.97 and (found > 0.9).sum() >= TRUE - 2
    start = random_sae(D, 24, torch.Generator().manual_seed(3))
    assert np.median(matched(start)) < 0.8
    quality = result.tables["quality"].frame.set_index("autoencoder")
    gained = quality.loc["trained"] - quality.loc["random"]
    assert gained["explained_variance"] > 0.1 and abs(gained["l0"]) < 0.6
    assert {"mse", "explained_variance", "l0", "dead_share"} <= set(result.metrics) and sae.by_position


def test_numbers_are_those_of_a_loop_over_held_out_clusters(standard):
    result, kept, sae = standard
    setup = setup_of(Map(), contexts())
    train = setup.contexts.splits["train"]
    ids = setup.rng("held_out").permutation(np.unique(setup.contexts.cluster[train]))
    out = train[np.isin(setup.contexts.cluster[train], ids[: round(0.1 * len(ids))])]
    x = setup.contexts.contexts.given.tensors[0][out].flatten(2).transpose(1, 2).flatten(0, 1)
    assert len(x) <= 300 and kept["site"] == "gate.output"  # no more than are wanted, so all of them
    with torch.no_grad():
        f, _ = sae.encode(x)
        residual = x - (f @ sae.directions() + sae.decoder_bias)
    row = result.tables["quality"].frame.set_index("autoencoder").loc["trained"]
    assert row["mse"] == pytest.approx(float(residual.square().mean()), rel=1e-4)
    assert row["explained_variance"] == pytest.approx(
        1 - float(residual.square().sum() / (x - x.mean(0)).square().sum()), abs=1e-5
    )
    assert row["l0"] == pytest.approx(float((f > 0).sum(1).float().mean()))
    assert row["dead_share"] == pytest.approx(float((~(f > 0).any(0)).float().mean()))
    last = result.tables["history"].frame.iloc[-1]
    assert last["mse"] == pytest.approx(row["mse"], rel=1e-3)  # on the scale of the place, not of the training
    assert result.metrics["final_mse"] == row["mse"]


def test_a_top_k_autoencoder_has_k_active_features(top_k):
    result, _, sae = top_k
    assert sae.top_k == 2
    assert result.tables["quality"].frame["l0"].max() <= 2
    again = sae_from_state(packed(sae), clamp=6.0, where="here")
    assert again.top_k == 2 and again.by_position and again.clamp is None


@pytest.mark.parametrize("kind", ["standard", "top_k"])
def test_latents_are_read_at_each_position_and_averaged(kind, request):
    _, _, sae = request.getfixturevalue(kind)
    setup = setup_of(Map(), contexts())
    executor = setup.executor()
    readable = Readable(executor, autoencoders={"gate.output": sae})
    reader = readable.latent(5, site="gate")
    some = np.arange(40)
    x = setup.contexts.contexts.given.tensors[0][some]
    with torch.no_grad():
        f, z = sae.encode(x.flatten(2).transpose(1, 2).reshape(-1, D))
    f, z = (part.reshape(40, -1, 24).mean(1).numpy() for part in (f, z))
    found, _ = executor.read(setup.contexts.cells(some), some, reader.readout())
    np.testing.assert_allclose(found, [f[:, 5], z[:, 5]], rtol=1e-5, atol=1e-4)
    rows = np.array([5, 2, 9])
    moments, own = executor.moments(
        setup.contexts.cells(some), reader.columns, rows, reader.place, by_position=reader.by_position
    )
    np.testing.assert_allclose(moments.mean, f[:, rows].mean(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(own[0], f[:, 5], rtol=1e-4, atol=1e-4)
    factor = LatentFactor(id=5, site="gate").bound(
        Binding(executor, "gate", np.random.default_rng(0), {"readable": readable})
    )
    with torch.no_grad():
        every = sae.encode(x.flatten(2).transpose(1, 2).reshape(-1, D))[0]
    assert factor.fit(executor, some).top == pytest.approx(float(every[:, 5].max()), rel=1e-5)


def test_a_survey_finds_the_latent_of_the_label_at_positions(standard, tmp_path):
    _, kept, sae = standard
    path = tmp_path / "sae.pt"
    torch.save(kept, path)
    setup = setup_of(Map(), contexts())
    survey = FeatureSurvey(place="gate", path=str(path), n_features=1, n_permutations=199, max_firing=1.0)
    survey.validate(setup)
    result = perform(survey, setup, MemoryRecorder(), subject="arrays")
    (chosen,) = result.aggregates.custom["features"]
    planted = (dictionary()[0] @ sae.directions().T).argmax()
    assert chosen == int(planted)
    x = setup.contexts.contexts.given.tensors[0][setup.contexts.splits["train"]]
    f = sae.encode(x.flatten(2).transpose(1, 2).reshape(-1, D))[0].reshape(len(x), -1, 24).mean(1)
    rate = result.tables["features"].frame.set_index("feature").loc[chosen, ["firing_rate", "firing_rate_other_half"]]
    assert rate.mean() == pytest.approx(float((f[:, chosen] > 0).float().mean()), abs=1e-3)


def test_padding_and_sinks_are_no_positions_to_train_on():
    ids = np.array([[0, 0, 3, 4], [0, 5, 6, 7]])
    mask = np.array([[0, 0, 1, 1], [0, 1, 1, 1]])
    net = nn.Embedding(8, 3)
    for sink, left in ((False, [3, 4, 5, 6, 7]), (True, [4, 6, 7])):
        data = TokenData(
            ids=torch.as_tensor(ids), labels=np.zeros(2, np.int64), clusters=np.arange(2), class_names=("a",),
            splits={"all": np.arange(2)}, digest="x", n_tokens=8, mask=torch.as_tensor(mask), sink=sink,
        )  # fmt: skip

        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed = net

            def forward(self, x, attention_mask=None, position_ids=None):
                return self.embed(x).mean(1)

        executor = setup_of(Model(), data, subject=TokenSubject).executor()
        found = executor.at_positions("embed", np.arange(2))
        torch.testing.assert_close(found, net.weight.detach()[left])


def test_an_object_of_a_notebook_can_be_trained_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["experiment=train_sae", "experiment.place=gate", "experiment.steps=20", "experiment.n_evaluations=2"]
    result = paribus.run([*words, "experiment.n_features=8", "tracking=off"], model=Map(), data=contexts(120))
    assert (
        result.aggregates.custom["place"] == "gate.output"
        and "held-out vectors" in result.aggregates.custom["summary"][0]
    )
    (said,) = (warning for warning in result.diagnostics.warnings if "object of a notebook" in warning)
    assert "autoencoder_1" in said and "the place gate.output" in said
    (kept,) = tmp_path.rglob("autoencoder_1*")
    words = ["experiment=scan_features", f"experiment.path={kept}", "experiment.place=gate.output"]
    scan = paribus.run([*words, "tracking=off", "experiment.n_effects=0"], model=Map(), data=contexts(120))
    assert len(scan.tables["features"].frame) == 8


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(clamp=3.0), "belongs to builds"),
        (dict(place="gate|channels:0"), "all channels and positions"),
        (dict(place="nowhere"), "nowhere"),
        (dict(split="val"), "no such split"),
        (dict(val_share=0.999), "leave none to train on"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is(fields, message):
    with pytest.raises(ConfigError, match=message):
        TrainSAE(**{**QUICK, "place": "gate", **fields}).validate(setup_of(Map(), contexts()))


def test_bad_numbers_and_constant_places_are_refused():
    with pytest.raises(ConfigError, match="must be below n_features"):
        TrainSAE(n_features=8, top_k=8)
    with pytest.raises(ConfigError, match="the pooled vector"):
        TrainSAE(top_k=4).suits("builds")
    flat = Contexts(inputs=torch.ones(200, D, SIDE, SIDE), cluster=np.arange(200))
    with pytest.raises(DataError, match="the same value in all contexts"):
        perform(TrainSAE(**QUICK, place="gate"), setup_of(Map(), flat), MemoryRecorder(), subject="arrays")
    with pytest.raises(CheckpointError, match=r"no encoder\.weight"):
        sae_from_state({"x": torch.zeros(1)}, clamp=None, where="here")
