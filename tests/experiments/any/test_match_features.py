"""Latents of two autoencoders: a planted permutation is exact, unrelated ones stay within the baseline."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paribus.compare.endpoints import Choice, read
from paribus.errors import ConfigError
from paribus.experiments.any.match_features.sides import _drawn
from paribus.experiments.any.match_features.spec import MatchFeatures
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.setup_runs import CollectedRun
from paribus.features.matching import match_latents
from paribus.figures.draw import draw
from paribus.models.autoencoders import packed, random_sae
from paribus.models.nets.sae import SparseAutoencoder
from paribus.stats.matching import p_of_matches
from paribus.stats.spec import StatsSpec
from paribus.subjects.tokens.subject import TokenSubject

from .test_scan import WIDTH, F, Stream, padded, sequences

ORDER = np.random.default_rng(3).permutation(F)


def sae_of(seed=2, by_position=True):
    return random_sae(WIDTH, F, torch.Generator().manual_seed(seed), by_position=by_position)


def permuted(sae, order=ORDER):
    """The same latents in another order: latent k of it is latent ``order[k]`` of the first."""
    made = SparseAutoencoder(sae.width, sae.n_features, by_position=sae.by_position)
    with torch.no_grad():
        made.encoder.weight.copy_(sae.encoder.weight[order])
        made.encoder.bias.copy_(sae.encoder.bias[order])
        made.decoder.weight.copy_(sae.decoder.weight[:, order])
        made.decoder.bias.copy_(sae.decoder.bias)
        made.decoder_bias.copy_(sae.decoder_bias)
    return made.eval()


def setup_of(sae, network=None, other=None, other_network=None, **options):
    """Two setups on the same sequences; without ``other`` the second autoencoder is from a file."""
    data = sequences(mask=padded(), sink=True)
    common = {"seed": 0, "stats": StatsSpec(), "data": data, **options}
    made = NetworkSetup(contexts=TokenSubject(data), network=network or Stream(), parts={"site": sae}, **common)
    if other is not None:
        beside = NetworkSetup(
            contexts=TokenSubject(data), network=other_network or Stream(), parts={"site": other}, **common
        )
        made.beside = beside
    return made


def matched(setup, **fields):
    second = {} if setup.beside is None else {"other_run": "abcd"}
    experiment, recorder = MatchFeatures(**{"least_fired": 1, **second, **fields}), MemoryRecorder()
    experiment.validate(setup)
    result = perform(experiment, setup, recorder, subject="tokens")
    frame = result.tables["matches"].frame
    return result, {way: rows.set_index("feature") for way, rows in frame.groupby("way")}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    path = tmp_path_factory.mktemp("saes") / "other.pt"
    torch.save(packed(permuted(sae_of())), path)
    return matched(setup_of(sae_of()), other_path=str(path), clamp=None)


def test_a_planted_permutation_is_found_exactly(planted):
    result, ways = planted
    where = np.argsort(ORDER)
    for way, rows in ways.items():
        assert rows["partner"].tolist() == where[rows.index].tolist(), way
        assert rows["mutual"].all() and rows["agree"].all() and rows["similarity"].min() > 0.9999
        assert (rows["established"] == "established").all() and rows["p_adj"].eq(1 / 40).all()
        np.testing.assert_allclose(rows["cosine"], 1, atol=1e-6)
        np.testing.assert_allclose(rows["correlation"], 1, atol=1e-6)
    totals = result.tables["matched"].frame.set_index("way")
    assert totals["share_established"].eq(1).all() and totals["null_percentile"].eq(100).all()
    assert (totals["n_agree"] == totals["n"]).all() and (totals["null_high"] < totals["mean"]).all()


def test_positions_are_numpys_whatever_the_batches(planted):
    """The correlations of drawn positions, which padding and the sink are none of, against the whole forward pass."""
    sae, setup = sae_of(), setup_of(sae_of(), other=sae_of(7), batch_limit=7)
    _, ways = matched(setup, n_vectors=100, n_contexts=60, n_random=0)
    kept = []
    handle = setup.network.site.register_forward_hook(lambda *found: kept.append(found[2].detach()))
    with torch.no_grad():
        setup.network(setup.contexts.inputs(setup.contexts.cells(np.arange(60))).tensors[0])
    handle.remove()
    counts = setup.data.mask.numpy().copy()
    counts[:, 0] = 0
    seeds = setup.rng("match_positions").integers(2**63, size=60)
    drawn = [kept[0][row, _drawn(counts[row], 2, int(seed))] for row, seed in enumerate(seeds)]
    assert {len(one) for one in drawn} == {2}
    vectors = torch.cat(drawn)
    f, g = (one.encode(vectors)[0].detach().double().numpy() for one in (sae, sae_of(7)))
    rows = ways["activation"].loc[lambda frame: frame["partner"] >= 0]
    for row in rows.itertuples():
        expected = np.corrcoef(f[:, row.Index], g[:, row.partner])[0, 1]
        assert row.correlation == pytest.approx(expected, abs=1e-5)
        assert row.firing_rate == pytest.approx((f[:, row.Index] > 0).mean())
    assert rows["established"].eq("untested").all() and rows["p_adj"].isna().all()


def test_two_models_are_matched_by_when_latents_fire_and_not_by_what_they_write():
    """The second network holds the same things in a turned basis, so that channels do not mean the same."""
    turned, _ = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(5)))

    class Turned(Stream):
        def forward(self, ids, attention_mask=None):
            h = self.embed(ids).cumsum(1)
            return self.unembed(self.site((h + torch.tanh(self.layers[0]["attn"](h))) @ turned))

    other = permuted(sae_of())
    with torch.no_grad():
        other.encoder.weight.copy_(other.encoder.weight @ turned)
        other.decoder.weight.copy_(turned.T @ other.decoder.weight)
    network = Turned()
    with torch.no_grad():
        network.unembed.weight.copy_(network.unembed.weight @ turned)
    result, ways = matched(setup_of(sae_of(), other=other, other_network=network), n_random=19)
    rows = ways["activation"]
    assert list(ways) == ["activation"] and rows["partner"].tolist() == np.argsort(ORDER)[rows.index].tolist()
    assert ways["activation"]["cosine"].isna().all() and not ways["activation"]["agree"].any()
    assert any("channels need not mean the same" in line for line in result.diagnostics.warnings)
    _, both = matched(setup_of(sae_of(), other=other, other_network=network), n_random=19, decoder="always")
    assert both["decoder"]["similarity"].max() < 0.99


def unrelated(seed, m=19, d=10, f=24, n=240):
    draw = torch.Generator().manual_seed(seed)
    one, other = (random_sae(d, f, draw) for _ in range(2))
    with torch.no_grad():
        for sae in (one, other):
            sae.encoder.bias.copy_(-1.5 * torch.rand(f, generator=draw))
    vectors = torch.randn(n, d, generator=draw) * torch.linspace(1.5, 0.3, d)
    found = match_latents(one, other, vectors, generator=draw, n_random=m, least=5)
    pairs = ((found.correlation, found.random_correlation), (found.cosine, found.random_cosine))
    return [p_of_matches(value, drawn) for value, drawn in pairs]


@pytest.mark.parametrize(("n", "most"), [(8, 3), pytest.param(600, 45, marks=pytest.mark.soak)])
def test_unrelated_autoencoders_are_beyond_the_baseline_as_often_as_stated(n, most):
    """5 % of pairs of autoencoders have any established match, and 5 % of latents a p below .05 (at m = 19)."""
    found = [unrelated(seed) for seed in range(n)]
    for way in range(2):
        assert sum(np.nanmin(each[way][1]) <= 0.05 for each in found) <= most
        assert np.mean(np.concatenate([each[way][0] for each in found]) <= 0.05) < 0.09


def test_endpoints_sentences_and_figures(planted):
    result, ways = planted
    lines, n = result.aggregates.custom["summary"], len(ways["decoder"])
    assert lines[0].startswith(f"Of {n} latents of the first autoencoder") and f"{n} of them established" in lines[0]
    assert f"Left out are {F - n} latents" in lines[3]
    run = CollectedRun(run_id="r", identity="r", experiment_type="match_features",
                       tables={name: table.frame for name, table in result.tables.items()})  # fmt: skip
    for endpoint in MatchFeatures.declares:
        found = read(endpoint, run, Choice("", "", "", "final", {}))
        assert found.value == pytest.approx(1.0, abs=1e-6), endpoint.name
    for figure in result.figures:
        draw(figure, {name: table.frame for name, table in result.tables.items()})


def test_one_autoencoder_as_both_is_said(planted, tmp_path):
    torch.save(packed(sae_of()), tmp_path / "own.pt")
    result, _ = matched(setup_of(sae_of()), other_path=str(tmp_path / "own.pt"), clamp=None, n_random=0)
    said = "each latent is its own partner by construction"
    assert any(said in line for line in result.diagnostics.warnings)
    assert not any(said in line for line in planted[0].diagnostics.warnings), "another order is another one"


def test_what_cannot_be_matched_is_refused():
    sae = sae_of()
    with pytest.raises(ConfigError, match="name the second autoencoder: experiment.other_run=RUN"):
        MatchFeatures().validate(setup_of(sae))
    with pytest.raises(ConfigError, match="two networks are matched; say checkpoint=final"):
        MatchFeatures(other_run="abcd").validate(setup_of(sae, other=sae, checkpoint="all"))
    bare = setup_of(sae, other=sae)
    bare.beside.parts.clear()
    with pytest.raises(ConfigError, match="the second model has no autoencoder at site; train one"):
        MatchFeatures(other_run="abcd", place="site").validate(bare)
    with pytest.raises(ConfigError, match="reads each position by itself, the second one vector of each context"):
        MatchFeatures(other_run="abcd").validate(setup_of(sae, other=sae_of(by_position=False)))
    fewer = setup_of(sae, other=sae)
    fewer.beside.contexts.cluster = fewer.beside.contexts.cluster[::-1]
    with pytest.raises(ConfigError, match="gives the two models other contexts"):
        MatchFeatures(other_run="abcd").validate(fewer)
    with pytest.raises(ConfigError, match="GiB"):
        MatchFeatures(other_run="abcd", n_vectors=10**9).validate(setup_of(sae, other=sae))
    with pytest.raises(ConfigError, match="fire on at least 10000 of"):
        matched(setup_of(sae, other=sae), least_fired=10_000)
