"""A scan of all features against loops over one feature, planted drivers, bounded memory and reading back."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

import paribus
from paribus.errors import ConfigError
from paribus.experiments.any.scan_features import effects as effects_of
from paribus.experiments.any.scan_features import one_pass, work
from paribus.experiments.any.scan_features.spec import ScanFeatures
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.models.autoencoders import random_sae
from paribus.results.frames import read_rows
from paribus.results.io import write_table
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.models.nets.planted import DRIVERS
from paribus.subjects.tokens.data import TokenData
from paribus.subjects.tokens.subject import TokenSubject

TOKENS, LENGTH, WIDTH, F, N = 7, 5, 8, 30, 60
STATS = StatsSpec(n_permutations=199)


class Stream(nn.Module):
    """An embedding that mixes what came before, a block, and an unembedding."""

    def __init__(self, width=WIDTH):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(TOKENS, width)
        block = nn.ModuleDict({"attn": nn.Linear(width, width)})
        self.layers = nn.ModuleList([block])
        self.site = nn.Identity()
        self.unembed = nn.Linear(width, TOKENS, bias=False)

    def forward(self, ids, attention_mask=None, position_ids=None):
        h = self.embed(ids).cumsum(1)
        return self.unembed(self.site(h + torch.tanh(self.layers[0]["attn"](h))))


def sequences(n=N, *, mask=None, sink=False):
    ids = torch.randint(TOKENS, (n, LENGTH), generator=torch.Generator().manual_seed(1))
    splits = {"train": np.arange(n)}
    return TokenData(ids, np.arange(n) % 2, np.arange(n) // 2, ("odd", "even"), splits, TOKENS, mask=mask, sink=sink)


def setup_of(data, sae=None, network=None, site="site"):
    sae = random_sae(WIDTH, F, torch.Generator().manual_seed(2), by_position=True) if sae is None else sae
    network = Stream() if network is None else network
    return NetworkSetup(seed=0, stats=STATS, contexts=TokenSubject(data), network=network, data=data, parts={site: sae})


def scanned(experiment, setup):
    recorder = MemoryRecorder()
    return perform(experiment, setup, recorder), recorder


def encoded(network, sae, ids):
    """Return activations ``[n, positions, F]``."""
    kept = []
    handle = network.site.register_forward_hook(lambda *found: kept.append(found[2].detach()))
    with torch.no_grad():
        network(ids)
        handle.remove()
        return sae.encode(kept[0])[0].double().numpy()


def padded():
    mask = torch.ones(N, LENGTH, dtype=torch.long)
    mask[::4, -1] = 0
    return mask


@pytest.mark.parametrize("top_k", [None, 4])
def test_everything_equals_a_loop_over_features(monkeypatch, top_k):
    monkeypatch.setattr(one_pass, "MOST_HELD", F * 11)  # blocks of 11 cells
    monkeypatch.setattr(one_pass, "MOST_ENCODED", 150)
    monkeypatch.setattr(one_pass, "AT_ONCE", 7)
    mask = padded()
    data = sequences(mask=mask, sink=True)
    sae = random_sae(WIDTH, F, torch.Generator().manual_seed(2), by_position=True)
    sae.top_k = top_k
    setup = setup_of(data, sae)
    _, recorder = scanned(ScanFeatures(n_contexts=0, n_top=4, n_effects=100, most_levels=3), setup)
    f = encoded(setup.network, setup.parts["site"], data.ids)
    counts = mask.double().numpy().copy()
    counts[:, 0] = 0
    share = counts / counts.sum(1, keepdims=True)
    pooled = (f * share[:, :, None]).sum(1)
    frame = recorder.tables["features"].frame
    np.testing.assert_allclose(frame["firing_rate"], ((f > 0) * share[:, :, None]).sum(1).mean(0), atol=1e-6)
    np.testing.assert_allclose(frame["mean"], pooled.mean(0), atol=1e-6)
    np.testing.assert_allclose(frame["sd"], pooled.std(0, ddof=1), atol=1e-5)
    peaks = np.where(counts[:, :, None] > 0, f, -np.inf)
    np.testing.assert_allclose(frame["largest"], peaks.max((0, 1)), atol=1e-5)
    top = recorder.tables["top_contexts"].frame
    assert (np.diff(top["feature"]) >= 0).all() and (top["peak"] > 0).all()
    assert len(top) == np.minimum((peaks.max(1) > 0).sum(0), 4).sum(), "where a latent is silent no context is shown"
    for feature, rows in top.groupby("feature"):
        expected = np.sort(peaks[:, :, feature].max(1))[::-1][:4]
        np.testing.assert_allclose(rows["peak"], expected[expected > 0], atol=1e-5)
        for row in rows.itertuples():
            assert peaks[row.context, row.position, feature] == pytest.approx(row.peak, abs=1e-5)
            assert row.cluster == row.context // 2 and row.label == ("odd", "even")[row.context % 2]
            assert row.shown == " ".join(map(str, data.ids[row.context][mask[row.context] > 0].tolist()))
    effects = recorder.tables["effects"].frame
    assert set(effects["factor"]) == {f"token at {one}" for one in (1, 2, 3)}, "no sink, no position with padding"
    assert len(effects) == F * 3 * 2
    for position in (1, 3):
        base = data.ids.clone()
        base[:, position] = 0
        without = (encoded(setup.network, setup.parts["site"], base) * share[:, :, None]).sum(1)
        for token in (3, 6):
            base[:, position] = token
            change = (encoded(setup.network, setup.parts["site"], base) * share[:, :, None]).sum(1) - without
            rows = effects[(effects["factor"] == f"token at {position}") & (effects["level"] == str(token))]
            rows = rows.sort_values("feature")
            np.testing.assert_allclose(rows["mean_delta"], change.mean(0), atol=2e-5)
            sd = np.where(pooled.std(0) > 0, pooled.std(0, ddof=1), np.nan)
            np.testing.assert_allclose(rows["effect"], change.mean(0) / sd, rtol=1e-3, atol=1e-4)
            assert (rows["n"] == N).all() and (rows["n_clusters"] == 24).all()
    size = effects["mean_delta"].abs()
    assert (size.groupby(effects["feature"]).diff().dropna() <= 1e-12).all(), "the largest first"
    first = effects[effects["rank"] == 1]
    assert (frame["driver"].to_numpy() == np.where(first["mean_delta"] != 0, first["factor"], "")).all()
    assert (frame["driven"] == "established").to_numpy().tolist() == first["established"].tolist()


def test_the_null_of_an_effect_is_made_of_features_that_fire_as_often(monkeypatch):
    monkeypatch.setattr(effects_of, "ALIKE", 6)
    setup = setup_of(sequences())
    _, recorder = scanned(ScanFeatures(n_effects=100, most_levels=3), setup)
    effects, frame = recorder.tables["effects"].frame, recorder.tables["features"].frame
    order = frame["firing_rate"].to_numpy().argsort(kind="stable").tolist()
    place = order.index(12)
    others = [one for one in order[max(0, min(place - 3, F - 7)) :][:7] if one != 12]
    row = effects[(effects["feature"] == 12)].iloc[0]
    same = effects[(effects["factor"] == row["factor"]) & (effects["level"] == row["level"])].set_index("feature")
    among = same.loc[others, "effect"].to_numpy()
    assert row["null_median"] == pytest.approx(np.median(among))
    assert row["null_percentile"] == pytest.approx(100 * (among < row["effect"]).mean())


def test_a_planted_driver_is_named_and_what_nothing_drives_is_exactly_0():
    class Planted(Stream):
        def forward(self, ids):
            h = torch.zeros(*ids.shape, WIDTH)
            h[:, :, 0] = (ids[:, 2] == 6).float()[:, None]
            h[:, :, 1] = 1.0
            return self.unembed(self.site(h))

    sae = random_sae(WIDTH, F, torch.Generator().manual_seed(2), by_position=True)
    with torch.no_grad():
        sae.encoder.weight.zero_()
        sae.encoder.weight[:WIDTH] = torch.eye(WIDTH)
    result, recorder = scanned(ScanFeatures(most_levels=3), setup_of(sequences(), sae, Planted()))
    frame, effects = recorder.tables["features"].frame, recorder.tables["effects"].frame
    assert frame.loc[0, ["driver", "driver_level", "driven"]].tolist() == ["token at 2", "6", "established"]
    assert effects.loc[0, "mean_delta"] == 1 and effects.loc[0, "p_adj"] <= 0.01
    others = effects[effects["feature"] > 0]
    assert (others["mean_delta"] == 0).all() and (others["p"] == 1).all() and not others["established"].any()
    custom = result.aggregates.custom
    assert (custom["n_driven"], custom["n_silent"], custom["n_features"]) == (1, F - 2, F)
    assert "1 of them have an established single-factor effect" in " ".join(custom["summary"])


def test_what_drives_the_planted_features_of_builds_is_named_and_nothing_else():
    words = ["experiment=scan_features", "data=builds_generated", "model=planted", "data.n_builds=300", "stats=quick"]
    found = paribus.run([*words, "tracking=off", "experiment.n_contexts=400", "experiment.n_tokens=2"])
    effects, frame = (found.tables[name].frame for name in ("effects", "features"))
    for feature, (name, drivers) in enumerate(DRIVERS.items()):
        rows = effects[(effects["feature"] == feature) & effects["established"]]
        assert set(rows["factor"]) <= set(drivers), name
        if drivers and name != "weapon_gate":  # too few builds have its weapons
            assert frame.loc[feature, "driver"] in drivers and frame.loc[feature, "driven"] == "established", name
            assert frame.loc[feature, "reliability"] > 0.9
    assert frame.loc[list(DRIVERS).index("null"), "driver"] == ""
    text = found.tables["top_contexts"].frame.set_index(["feature", "rank"])["shown"]
    assert "special_charge_up_29" in text[0, 1] or "special_charge_up_38" in text[0, 1]


def test_what_decoders_write_is_read_from_the_weights_where_that_can_be():
    network, sae = Stream(), random_sae(WIDTH, F, torch.Generator().manual_seed(2), by_position=True)
    _, recorder = scanned(ScanFeatures(n_effects=0, n_tokens=3), setup_of(sequences(), sae, network, "unembed.input"))
    table = recorder.tables["top_tokens"]
    assert "exactly" in table.description and "effects" not in recorder.tables
    made = (sae.directions() @ network.unembed.weight.T).detach()
    made = (made - made.mean(1, keepdim=True)).double().numpy()
    rows = table.frame[table.frame["feature"] == 4]
    order = np.argsort(-made[4])[:3]
    np.testing.assert_allclose(rows["weight"], made[4, order], atol=1e-5)
    np.testing.assert_allclose(rows["beyond"], ((made - made.mean(0)) / made.std(0))[4, order], atol=1e-3)
    names = ("odd", "even")
    assert rows["output"].tolist() == [names[one] if one < 2 else str(one) for one in order]
    _, recorder = scanned(ScanFeatures(n_effects=0), setup_of(sequences(), sae, network, "layers.0.attn"))
    assert "directly" in recorder.tables["top_tokens"].description
    _, recorder = scanned(ScanFeatures(n_effects=0), setup_of(sequences(), sae, network, "site"))
    assert "top_tokens" not in recorder.tables, "nothing says that this is the stream"


def test_an_autoencoder_of_pooled_vectors_is_scanned_as_a_readout_reads_it():
    sae = random_sae(WIDTH, F, torch.Generator().manual_seed(2))
    setup = setup_of(sequences(mask=padded(), sink=True), sae)
    _, recorder = scanned(ScanFeatures(n_effects=0), setup)
    executor = setup.executor()
    f = sae.encode(torch.from_numpy(executor.vectors("site", np.arange(N))).float())[0].detach().double().numpy()
    frame = recorder.tables["features"].frame
    np.testing.assert_allclose(frame["firing_rate"], (f > 0).mean(0), atol=1e-6)
    np.testing.assert_allclose(frame["mean"], f.mean(0), atol=1e-6)
    assert (recorder.tables["top_contexts"].frame["position"] == 0).all()


def test_peaks_are_counted_from_the_first_token_that_is_read():
    sae = random_sae(WIDTH, F, torch.Generator().manual_seed(2), by_position=True)
    mask = padded().flip(1)
    setup = setup_of(sequences(mask=mask), sae)
    _, recorder = scanned(ScanFeatures(n_effects=0), setup)
    values, lengths = setup.executor().values("site", np.arange(N)), mask.sum(1).numpy()
    top = recorder.tables["top_contexts"].frame
    assert (top["position"] < lengths[top["context"]]).all() and top["position"].max() > 0
    for row in top.head(20).itertuples():
        at = mask.shape[1] - lengths[row.context] + row.position
        assert sae.encode(values[row.context, :, at][None])[0][0, row.feature].item() == pytest.approx(
            row.peak, abs=1e-5
        )


def test_units_are_scanned_where_there_is_no_autoencoder():
    setup = setup_of(sequences())
    setup.parts.clear()
    result, recorder = scanned(ScanFeatures(place="site", most_levels=2), setup)
    assert result.aggregates.custom["kind"] == "unit" and len(recorder.tables["features"].frame) == WIDTH


def test_memory_is_bounded_and_what_would_not_fit_is_refused_at_dry_run(monkeypatch):
    many = random_sae(WIDTH, 700, torch.Generator().manual_seed(2))
    monkeypatch.setattr(one_pass, "MOST_HELD", 700 * 20)
    setup = setup_of(sequences(), many)
    tracemalloc.start()
    scanned(ScanFeatures(n_top=3, n_effects=2, most_factors=2, most_levels=3, n_splits=5, n_tokens=2), setup)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20
    monkeypatch.setattr(work, "MOST_SUMS", 700 * 8 * 8 * 11)
    with pytest.raises(ConfigError, match="lower experiment.most_factors or most_levels"):
        ScanFeatures(most_levels=3, most_factors=4).validate(setup)


def test_the_rows_of_one_feature_are_read_without_the_others(tmp_path, monkeypatch):
    from paribus.results import frames

    monkeypatch.setattr(frames, "ROWS_TOGETHER", 20)
    _, recorder = scanned(ScanFeatures(most_levels=3), setup_of(sequences()))
    opened = []
    for name, table in recorder.tables.items():
        path = write_table(table, tmp_path)
        whole = frames.read_parquet(path)
        monkeypatch.setattr(frames, "_may_hold", _counting(opened, frames._may_hold))
        for feature in (0, 17, F - 1):
            opened.clear()
            found = read_rows(path, "feature", feature)
            assert found.equals(whole[whole["feature"] == feature].reset_index(drop=True)), name
            assert sum(opened) <= 2, "rows that are stored together, twice where a feature's lie on both sides"
        monkeypatch.undo()
        monkeypatch.setattr(frames, "ROWS_TOGETHER", 20)
        assert len(read_rows(path, "feature", F)) == 0
    with pytest.raises(KeyError):
        read_rows(path, "latent", 1)


def _counting(opened, asked):
    def wrapped(*arguments):
        opened.append(asked(*arguments))
        return opened[-1]

    return wrapped
