"""Features of any network: units, directions, latents, logits and margins of a CNN and of a token model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import CheckpointError, ConfigError, DataError, ExperimentError
from paribus.features.columns import Latents
from paribus.features.direction import Direction
from paribus.features.latent import Latent
from paribus.features.logit import Logit
from paribus.features.margin import Margin
from paribus.features.readable import Outputs, Readable
from paribus.features.unit import Unit
from paribus.measure import ArraySubject, Contexts, Design, Executor
from paribus.models.autoencoders import random_sae
from paribus.models.nets.sae import SparseAutoencoder, identity_autoencoder

N = 12


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def cnn(sae=None, **options):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3))
    images = torch.randn(N, 1, 6, 6, generator=seeded())
    executor = Executor(net, ArraySubject(Contexts(images)))
    saes = {} if sae is None else {"1": sae}
    return Readable(executor, outputs=Outputs(("cat", "dog", "cow")), autoencoders=saes, **options), images, net


class TokenModel(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.embed, self.block = nn.Embedding(7, 6), nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)
        self.head = nn.Linear(6, 4)

    def forward(self, ids):
        return self.head(self.block(self.embed(ids))[:, -1])


def values(network, feature):
    reader = feature.reader(network, seeded())
    found = network.executor.stream(Design(), reader.readout()).collected(N).values
    return reader, found[:, 0]


def test_features_of_a_cnn_are_what_they_say():
    sae = random_sae(5, 9, seeded(), clamp=None)
    network, images, net = cnn(sae)
    with torch.no_grad():
        pooled, logits = net[:2](images).mean((2, 3)), net(images)
        f, z = sae.encode(pooled)
    others = (logits.sum(1) - logits[:, 1]) / 2
    weight = net[4].weight.detach()
    along = (weight[1] - weight.mean(0)) / (weight[1] - weight.mean(0)).norm()
    vector = torch.tensor([1.0, 0, 0, -2, 0])
    for feature, expected in (
        (Unit(3, site="1"), pooled[:, 3]),
        (Direction(values=vector.tolist(), site="1"), pooled @ vector / vector.norm()),
        (Direction(token="dog", site="4.input"), net[:4](images).detach() @ along),
        (Logit("dog"), logits[:, 1]),
        (Logit("1", probability=True), torch.sigmoid(logits[:, 1])),
        (Margin("dog"), logits[:, 1] - others),
        (Latent(4), f[:, 4]),
    ):
        np.testing.assert_allclose(values(network, feature)[1][0], expected, atol=1e-6, err_msg=str(feature))
    np.testing.assert_allclose(values(network, Latent(4))[1][1], z[:, 4], atol=1e-6)


def test_an_autoencoder_from_a_file_reads_any_site(tmp_path, caplog):
    sae = random_sae(6, 8, seeded(), clamp=None)
    torch.save(sae.state_dict(), tmp_path / "sae.pt")
    ids = torch.randint(0, 7, (N, 5), generator=seeded())
    net = TokenModel()
    network = Readable(Executor(net, ArraySubject(Contexts(ids))))
    feature = Latent(2, path=str(tmp_path / "sae.pt"), site="block", clamp=None)
    with torch.no_grad():
        stream = net.eval().block(net.embed(ids)).mean(1)
    reader, (f, _) = values(network, feature)
    assert reader.place == "block" and feature.input_files()["sae"].name == "sae.pt"
    caplog.clear()
    state = sae.state_dict()
    unit = torch.nn.functional.normalize(state["decoder.weight"], dim=0)
    for size, says in ((3.0, ["norms from 3 to 3"]), (1.0, [])):
        torch.save({**state, "decoder.weight": size * unit}, tmp_path / "sized.pt")
        values(network, Latent(2, path=str(tmp_path / "sized.pt"), site="block", clamp=None))
        assert [part for part in ("norms from 3 to 3",) if part in caplog.text] == says
        caplog.clear()
    np.testing.assert_allclose(f, sae.encode(stream)[0][:, 2].detach(), atol=1e-6)
    assert network.outputs.names == ("0", "1", "2", "3")
    for bad, error, match in (
        (Latent(0, path=str(tmp_path / "sae.pt")), ConfigError, "feature.site: name the module"),
        (Latent(0, path=str(tmp_path / "sae.pt"), site="head"), CheckpointError, "reads vectors of 6, head gives 4"),
        (Latent(0, path=str(tmp_path / "no.pt"), site="block"), CheckpointError, "no such file"),
        (Latent(8, path=str(tmp_path / "sae.pt"), site="block"), ConfigError, "numbered 0 to 7"),
        (Latent(0), ConfigError, "no sparse autoencoder"),
        (Logit("4"), ConfigError, "no output '4'"),
        (Unit(0, site="blok"), ConfigError, "no module"),
        (Direction(token="1", site="block"), ConfigError, "must be the input of the last layer"),
        (Direction(token="1", site="block.linear1.input"), ConfigError, "must be the input of the last layer"),
        (Direction(path=str(tmp_path / "v.npy"), site="block"), DataError, "no readable .npy"),
    ):
        with pytest.raises(error, match=match):
            bad.reader(network, seeded())


def test_which_autoencoder_is_meant_must_be_said_where_there_are_several():
    network, _, _ = cnn()
    network.autoencoders = {"1": random_sae(5, 6, seeded()), "3": random_sae(5, 7, seeded())}
    with pytest.raises(ConfigError, match="say which autoencoder is meant: 1, 3"):
        network.latent(0)
    with pytest.raises(ConfigError, match="no autoencoder reads there"):
        network.latent(0, site="2")
    assert network.latent(6, site="3").place == "3"


def _autoencoder(kind):
    sae = random_sae(5, 9, seeded(), clamp=0.4 if kind == "clamp" else None)
    with torch.no_grad():
        sae.decoder_bias.normal_(generator=seeded(1))
        sae.decoder.weight.mul_(3.0)
    sae.unit_norm = kind != "raw"
    if kind == "top-k":
        sae.top_k = 3
    if kind == "jump":
        sae.threshold = torch.linspace(0, 0.4, 9)
    return sae


@pytest.mark.parametrize("kind", ["relu", "raw", "clamp", "jump", "top-k"])
def test_setting_a_latent_exchanges_its_own_part_and_nothing_else(kind):
    sae = _autoencoder(kind)
    x = torch.randn(40, 5, generator=seeded(2)) * 2
    rows = torch.tensor([4])
    f = sae.encode(x, rows)[0].detach()[:, 0]
    column = (sae.directions()[4] if sae.unit_norm else sae.decoder.weight[:, 4]).detach()
    expected = x + (0.25 - f)[:, None] * column
    torch.testing.assert_close(Latents(sae).setter(4, 0.25).forward(x), expected, atol=1e-5, rtol=1e-5)
    assert (f > 0).any() and (f == 0).any()


def test_a_latent_that_competes_under_bounds_of_its_own_cannot_be_set():
    sae = identity_autoencoder(4, torch.ones(4))
    sae.top_k = 2
    with pytest.raises(ExperimentError, match="top-k"):
        Latents(sae).setter(0, 1.0)


def test_autoencoders_follow_the_networks_number_format():
    torch.manual_seed(0)
    sae = SparseAutoencoder(3, 4)
    executor = Executor(nn.Linear(2, 3), ArraySubject(Contexts(torch.zeros(2, 2))), dtype="float64")
    network = Readable(executor, autoencoders={"": sae}, latent_names=("a", "b", "c", "d"))
    assert sae.encoder.weight.dtype is torch.float64
    assert network.latent(1).name == "b"


@pytest.mark.parametrize(("says", "site"), [(None, "1"), (False, "1"), (True, "1"), (None, "4.input")])
def test_a_file_that_does_not_say_whether_it_reads_single_positions_gets_a_warning(tmp_path, caplog, says, site):
    network, images, net = cnn()
    sae = random_sae(5, 9, seeded(), clamp=6.0)
    state = {**sae.state_dict(), **({} if says is None else {"settings.by_position": torch.tensor(says)})}
    torch.save(state, tmp_path / "sae.pt")
    _, read = values(network, Latent(id=3, path=str(tmp_path / "sae.pt"), site=site))
    with torch.no_grad():
        maps = net[:2](images).movedim(1, -1)
        wanted = sae.encode(maps)[0].mean((1, 2)) if says else sae.encode(maps.mean((1, 2)))[0]
    np.testing.assert_allclose(read[0], wanted[:, 3], atol=1e-6)
    warned = "does not say whether it was trained on single positions" in caplog.text
    assert warned == (says is None and site == "1")
