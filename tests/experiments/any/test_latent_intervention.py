"""`latent_intervention` against loops with hooks, planted truths and nulls."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from paribus.errors import ConfigError
from paribus.experiments.any.latent_intervention import work
from paribus.experiments.any.latent_intervention.activity import activity, random_latents
from paribus.experiments.any.latent_intervention.spec import DIRECTIONS, LIKE, RANDOM, LatentIntervention
from paribus.experiments.any.latent_intervention.work import SILENT
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.features.latent import Latent
from paribus.measure import ArraySubject, Contexts
from paribus.measure.executor import Executor
from paribus.measure.place import Place
from paribus.models.autoencoders import load_sae
from paribus.models.nets.sae import identity_autoencoder
from paribus.stats.spec import StatsSpec
from paribus.subjects.tokens.data import Targets, TokenData
from paribus.subjects.tokens.subject import TokenSubject

FEW = StatsSpec(n_null=8, n_bootstrap=200, n_permutations=999)
WIDTH, F, TOKENS, LENGTH, N = 6, 14, 9, 5, 24


def performed(experiment, setup):
    recorder = MemoryRecorder()
    return perform(experiment, setup, recorder), recorder


# Tokens, position by position -----------------------------------------------------------------------------------------


class Stream(nn.Module):
    """An embedding, a mixing over what came before, a site, and an unembedding behind a bend."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.embed, self.site = nn.Embedding(TOKENS, WIDTH), nn.Identity()
        self.bend, self.unembed = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, TOKENS)

    def forward(self, ids, attention_mask=None):
        h = self.embed(ids)
        if attention_mask is not None:
            h = h * attention_mask[:, :, None]
        h = h.cumsum(1) / torch.arange(1, ids.shape[1] + 1)[:, None]
        h = self.site(3 * h + 0.5)
        return self.unembed(h + torch.tanh(self.bend(h)))


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(TOKENS, (2 * N, LENGTH), generator=generator)
    mask = torch.ones(2 * N, LENGTH, dtype=torch.long)
    mask[::3, -1] = 0
    last = mask.sum(1) - 1
    targets = Targets(last.numpy()[:, None], np.arange(2 * N)[:, None] % TOKENS)
    splits = {"test": np.arange(N), "train": np.arange(N, 2 * N)}
    further = {"mask": mask, "targets": targets, "sink": True, "positions": {"end": last.numpy()[:, None]}}
    return TokenData(ids, None, np.arange(2 * N), (), splits, TOKENS, **further)


def tokens(data, **parts):
    return NetworkSetup(seed=0, stats=FEW, contexts=TokenSubject(data), network=Stream(), data=data, parts=parts)


def folder(path, architecture, normalise):
    draw = torch.Generator().manual_seed(5)
    weights = {"W_enc": torch.randn(WIDTH, F, generator=draw), "W_dec": torch.randn(F, WIDTH, generator=draw)}
    weights |= {"b_enc": torch.randn(F, generator=draw) / 3, "b_dec": torch.randn(WIDTH, generator=draw) / 3}
    if architecture == "jumprelu":
        weights["threshold"] = torch.rand(F, generator=draw)
    save_file(weights, path / "sae_weights.safetensors")
    config = {"architecture": architecture, "normalize_activations": normalise, "k": 3, "hook_name": "site"}
    (path / "cfg.json").write_text(json.dumps(config))
    return load_sae(path, clamp=None)


@pytest.mark.parametrize(
    ("architecture", "normalise"),
    [("jumprelu", "none"), ("topk", "layer_norm"), ("standard", "constant_norm_rescale")],
)
def test_effects_equal_a_loop_that_decodes_and_keeps_the_error(data, tmp_path, architecture, normalise):
    sae = folder(tmp_path, architecture, normalise)
    latent = 4
    experiment = LatentIntervention(
        latents=[latent], path=str(tmp_path), values=[1.5], doses=[0.0, 1.0], readout="loss"
    )
    setup = tokens(data)
    _, recorder = performed(experiment, setup)
    frame = recorder.tables["latents"].frame.set_index("set_to")
    network = Stream()

    def at_site(rows):
        seen = []
        handle = network.site.register_forward_hook(lambda *found: seen.append(found[2].detach()))
        loss(rows)
        handle.remove()
        return seen[0]

    def loss(rows, value=None):
        def edit(_, __, h):
            f = sae.encode(h)[0]
            kept = h - sae.decode(f, h)
            f = f.clone()
            f[..., latent] = value
            return sae.decode(f, h) + kept

        handles = [] if value is None else [network.site.register_forward_hook(edit)]
        with torch.no_grad():
            logits = torch.log_softmax(network(data.ids[rows], data.mask[rows]), 2)
        for handle in handles:
            handle.remove()
        positions, ids = torch.from_numpy(data.targets.positions[rows]), torch.from_numpy(data.targets.ids[rows])
        picked = logits[torch.arange(len(rows))[:, None], positions].gather(2, ids[:, :, None])
        return -picked[:, 0, 0].numpy()

    fit, reported = data.splits["train"], data.splits["test"]
    counts = data.mask.clone()
    counts[:, 0] = 0  # the attention sink
    with torch.no_grad():
        active = sae.encode(at_site(fit))[0][..., latent]
        here = sae.encode(at_site(reported))[0][..., latent]
    weights = counts / counts.sum(1, keepdim=True)
    mean = float((active * weights[fit]).sum(1).mean())
    largest = float(active[counts[fit] > 0].max())
    assert frame["value"].to_dict() == pytest.approx({"zero": 0, "mean": mean, "max": largest, "1.5": 1.5}, abs=1e-5)
    assert frame["activation"].iloc[0] == pytest.approx(float((here * weights[reported]).sum(1).mean()), abs=1e-5)
    assert frame.loc["zero", "change"] == pytest.approx(frame.loc["zero", "activation"], abs=1e-6), "padding or not"
    fires = (here > 0).float()
    assert frame["firing_rate"].iloc[0] == pytest.approx(float((fires * weights[reported]).sum(1).mean()), abs=1e-6)
    for name, row in frame.iterrows():
        expected = (loss(reported, row["value"]) - loss(reported)).mean()
        assert row["mean_delta"] == pytest.approx(expected, abs=2e-5), name
    assert frame["mean_delta"].abs().max() > 0.01
    doses = recorder.tables["doses"].frame.set_index("dose")["mean_delta"]
    assert doses[1.0] == pytest.approx(frame.loc["max", "mean_delta"]) and doses[0.0] == frame.loc["zero", "mean_delta"]
    beside = recorder.tables["nulls"].frame
    assert set(beside["null"]) == {LIKE, DIRECTIONS, RANDOM} and (beside["n_draws"] == 8).all()


def test_what_is_encoded_again_is_of_all_contexts_whatever_the_batches(data, tmp_path):
    sae, place = folder(tmp_path, "standard", "none"), Place.parse("site")
    found = [
        activity(sae, Executor(Stream(), TokenSubject(data), batch_limit=limit), place, rows, rng(), most)
        for limit, rows, most in ((512, N, 30), (5, N, 30), (512, 2 * N, 10), (7, 2 * N, 10), (512, N, 4096))
        for rows, rng in [(np.arange(rows), lambda: np.random.default_rng(0))]
    ]
    for one, other in (found[:2], found[2:4]):
        assert torch.allclose(one.kept, other.kept) and torch.equal(one.weight, other.weight)
    assert [len(one.kept) for one in found[::2]] == [2 * N, 10, int(data.mask[:N, 1:].sum())]
    assert torch.allclose(found[4].weight.sum() * (1 / 3), torch.tensor(float(N), dtype=torch.float64))


def test_one_position_at_a_time_and_a_later_one_that_cannot_matter(data, tmp_path):
    folder(tmp_path, "standard", "none")
    some = {"latents": [4], "path": str(tmp_path), "set_to": ["max"], "doses": []}
    _, recorder = performed(LatentIntervention(each_position=True, readout="loss", **some), tokens(data))
    frame = recorder.tables["latents"].frame
    assert frame["pos"].tolist() == list("0123"), "the last is padding in some"
    assert frame["level"].iloc[2] == "latent 4 to max at 2"
    assert "doses" not in recorder.tables
    by_place = {}
    for place in ("site|pos:3", "site|pos:-2", "site|pos:2..3", "site@end"):
        _, recorder = performed(LatentIntervention(place=place, readout="loss", **some), tokens(data))
        by_place[place] = recorder.tables["latents"].frame.iloc[0]
    assert by_place["site|pos:3"]["value"] == pytest.approx(by_place["site|pos:-2"]["value"])
    assert by_place["site|pos:3"]["mean_delta"] == pytest.approx(by_place["site|pos:-2"]["mean_delta"])
    assert by_place["site|pos:2..3"]["pos"] == "2+3" and by_place["site@end"]["pos"] == "@end"
    assert by_place["site@end"]["mean_delta"] != 0, "each after its own last token"
    # a sequence is asked after its last token, and nothing behind the site looks back
    first = frame[frame["pos"] == "0"].iloc[0]
    assert first["mean_delta"] == 0 and first["p"] == 1


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"latents": []}, "name the latents that are set"),
        ({"latents": [F]}, "has 14 latents, numbered 0 to 13, got 14"),
        ({"place": "site|channel:1"}, "reads all channels"),
        ({"place": "site|pos:7"}, "sequences have 5 positions"),
        ({"place": "sight"}, "sight"),
    ],
)
def test_what_cannot_be_set_is_refused_at_dry_run(data, tmp_path, changes, match):
    folder(tmp_path, "standard", "none")
    words = {"latents": [1], "path": str(tmp_path), "readout": "loss", **changes}
    if not words["latents"]:
        words["path"] = None
    with pytest.raises(ConfigError, match=match):
        LatentIntervention(**words).validate(tokens(data))


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"latents": [1, 1]}, "name each once"),
        ({"set_to": []}, "name something"),
        ({"path": "x"}, "say which latents"),
    ],
)
def test_fields_that_say_nothing_are_refused(fields, match):
    with pytest.raises(ConfigError, match=match):
        LatentIntervention(**fields)


# Planted truths -------------------------------------------------------------------------------------------------------


class Gated(nn.Module):
    """Units; the first weighs 2, the second nothing, the third is turned by a sign that the input brings."""

    def __init__(self):
        super().__init__()
        self.site = nn.Identity()

    def forward(self, x):
        h = self.site(x[:, :4])
        return (2 * h[:, 0] + h[:, 2] * x[:, 4])[:, None]


def planted(seed, n=60, seldom=1):
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.exponential(size=(n, 4)) * (rng.random((n, 4)) < 0.7), rng.choice([-1, 1], (n, 1))], 1)
    x[:, 3] = 0
    x[np.arange(n) % seldom > 0, 0] = 0
    contexts = ArraySubject(Contexts(inputs=torch.tensor(x, dtype=torch.float32)))
    sae = identity_autoencoder(4, torch.full((4,), torch.inf))
    feature = Latent(id=0)
    setup = NetworkSetup(seed=seed, stats=FEW, contexts=contexts, network=Gated(), feature=feature, parts={"site": sae})
    return x, setup


def test_planted_latents_are_found_with_their_size_and_others_do_nothing_at_all():
    x, setup = planted(1, n=200)
    result, recorder = performed(LatentIntervention(latents=[0, 1, 3], set_to=["zero"], readout="output"), setup)
    frame = recorder.tables["latents"].frame.set_index("latent")
    reported = frame["n"].iloc[0]
    assert frame.loc[0, "mean_delta"] == pytest.approx(-2 * frame.loc[0, "activation"], rel=1e-5)
    assert frame.loc[0, "established"] and reported == 100
    assert (frame.loc[[1, 3], "mean_delta"] == 0).all() and (frame.loc[[1, 3], "p"] == 1).all()
    assert frame.loc[3, "remark"].startswith(SILENT) and frame.loc[1, "remark"] == ""
    slope = recorder.tables["slope"].frame.set_index("latent")
    largest = x[:, 0].max()
    assert 0 < slope.loc[0, "mean_delta"] <= 2 * largest + 1e-4 and slope.loc[0, "trend_p"] < 0.01
    assert slope.loc[0, "established"] and slope.loc[1, "mean_delta"] == 0
    text = " ".join(map(str, result.aggregates.custom["summary"]))
    assert "latent 0 to zero" in text and "established in 1 of 3" in text
    beside = recorder.tables["nulls"].frame
    assert set(beside.loc[beside["latent"] == 3, "null"]) == {DIRECTIONS}, "one that never fires is like no other"


def test_a_latent_that_seldom_fires_is_not_silent_though_no_vector_that_is_encoded_again_has_it(monkeypatch):
    """Of many positions some 2,000 are encoded again: that it changes none of these says nothing of the others."""
    monkeypatch.setattr(work, "MOST_ENCODED", 1)
    _, setup = planted(2, n=200, seldom=20)
    values = [0.7, 9.0]
    _, recorder = performed(LatentIntervention(latents=[0, 3], values=values, readout="output"), setup)
    frame = recorder.tables["latents"].frame.set_index(["latent", "set_to"])
    row = frame.loc[0, "zero"]
    assert row["mean_delta"] < 0 and row["remark"] == "" and row["others_moved"] == 0
    assert row["change"] == pytest.approx(row["activation"]) and -2 * row["change"] == pytest.approx(row["mean_delta"])
    top = frame.xs(0).loc[lambda rows: rows["value"] >= 9]
    assert top["change"].tolist() == pytest.approx((top["mean_delta"] / 2).tolist())
    assert frame.loc[3, "zero"]["remark"].startswith(SILENT)


def test_the_feature_that_is_chosen_is_set_and_is_no_readout_then():
    _, setup = planted(1)
    result, recorder = performed(LatentIntervention(set_to=["max"], doses=[]), setup)
    frame = recorder.tables["latents"].frame
    assert frame["latent"].tolist() == [0] and frame["readout"].tolist() == ["output"]
    assert result.aggregates.custom["place"] == "site.output"
    with pytest.raises(ConfigError, match="it is what is set"):
        LatentIntervention(readout="feature").validate(setup)


def test_encoded_again_a_latent_of_its_own_moves_no_other_and_one_that_shares_its_direction_does():
    x, setup = planted(2)
    _, recorder = performed(LatentIntervention(latents=[0], set_to=["zero"], doses=[], readout="output"), setup)
    own = recorder.tables["latents"].frame.iloc[0]
    assert own["others_moved"] == 0 and own["reencoded_off_target"] == 0 and own["reencoded"] == 0
    sae = identity_autoencoder(4, torch.full((4,), torch.inf))
    with torch.no_grad():
        sae.encoder.weight[1, 0] = 1.0  # the second reads the first one's unit too
    setup.parts["site"] = sae
    _, recorder = performed(LatentIntervention(latents=[0], set_to=["zero"], doses=[], readout="output"), setup)
    shared = recorder.tables["latents"].frame.iloc[0]
    assert shared["reencoded_off_target"] == pytest.approx(1.0, abs=1e-6)
    assert shared["others_moved"] == pytest.approx(own["firing_rate"], abs=1e-6)


def test_random_latents_fire_as_often_as_they_are_asked_to():
    vectors = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    sae = identity_autoencoder(6, torch.full((6,), torch.inf))
    for rate in (0.05, 0.5, 1.0):
        made = random_latents(sae, vectors, rate, 20, torch.Generator().manual_seed(1))
        f = made.columns.sae.encode(vectors)[0].detach()
        assert ((f > 0).double().mean(0) - rate).abs().max() <= 0.005
        assert np.allclose(made.top, f.amax(0)) and (made.top > 0).all()


def false_positives(seeds):
    found = []
    for seed in seeds:
        _, setup = planted(seed)
        quick = LatentIntervention(latents=[2], set_to=["zero"], doses=[], readout="output")
        _, recorder = performed(quick, setup)
        found.append(recorder.tables["latents"].frame["p"].iloc[0])
    return np.array(found)


def test_a_latent_whose_effect_cancels_is_found_at_the_rate_of_the_test():
    assert (false_positives(range(8)) <= 0.05).sum() <= 2  # 3 or more of 8: .6 %


@pytest.mark.soak
def test_a_latent_whose_effect_cancels_is_found_at_the_rate_of_the_test_over_200_seeds():
    p = false_positives(range(200))
    assert 2 <= (p <= 0.05).sum() <= 19 and (p <= 0.5).mean() == pytest.approx(0.5, abs=0.12)


def test_the_vector_is_the_table_bit_for_bit(data, tmp_path):
    folder(tmp_path, "standard", "none")
    asked = LatentIntervention(latents=[4, 6], path=str(tmp_path), place="site", each_position=True, doses=[])
    _, recorder = performed(asked, tokens(data))
    frame = recorder.tables["latents"].frame
    found = asked.measured_vector(tokens(data), MemoryRecorder())
    assert list(found.labels) == frame["level"].tolist() and len(set(found.labels)) == len(frame)
    assert found.values.tolist() == frame["mean_delta"].tolist()
    assert found.sums.n.tolist() == frame["n"].tolist()
    promised = asked.promised_vector(tokens(data))
    assert (promised.n_entries, promised.n_contexts, promised.signed) == (len(frame), N, True)
