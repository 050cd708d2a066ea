"""On a network whose heads are known: both directions, nulls, sets, named positions, and what is refused."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError, DataError
from paribus.experiments.any.activation_patching import work
from paribus.experiments.any.activation_patching.spec import ActivationPatching
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.factors._donated import Donated, Held
from paribus.figures.draw import draw
from paribus.stats.spec import StatsSpec
from paribus.subjects.tokens.data import Targets, TokenData, modular_addition
from paribus.subjects.tokens.prompt_pairs import PromptPairs
from paribus.subjects.tokens.repeated import RepeatedTokens
from paribus.subjects.tokens.subject import TokenSubject

_SPEC = importlib.util.spec_from_file_location("induction", Path(__file__).parents[2] / "golden" / "induction.py")
induction = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(induction)
N, LENGTH = 80, 8
STATS = StatsSpec(n_null=20, n_bootstrap=300, n_permutations=999)


@pytest.fixture(scope="module")
def data():
    return RepeatedTokens(n_sequences=12, n_reference=6, length=LENGTH, n_tokens=N, lowest=1).load()


def setup_of(data, network=None, seed=0, stats=STATS):
    network = induction.Repeats(N, 2 * LENGTH + 1) if network is None else network
    return NetworkSetup(seed=seed, stats=stats, contexts=TokenSubject(data), network=network, data=data)


@pytest.fixture(scope="module")
def found(data):
    recorder = MemoryRecorder()
    asked = ActivationPatching(ks=[1, 2], groups=["L0H1 & L1H2"], n_beside=0)
    return perform(asked, setup_of(data), recorder), recorder


def patches(asked, setup):
    recorder = MemoryRecorder()
    perform(asked, setup, recorder)
    return recorder.tables["patches"].frame


def test_the_head_that_carries_the_answer_brings_and_destroys_all_of_it(found):
    _, recorder = found
    frame = recorder.tables["patches"].frame.set_index(["direction", "level"])
    assert len(frame) == 12 and set(frame.index[frame["established"]]) == {("denoise", "L1H2"), ("noise", "L1H2")}
    denoised, noised = frame.loc[("denoise", "L1H2")], frame.loc[("noise", "L1H2")]
    assert denoised["mean_delta"] < 0 < noised["mean_delta"] == pytest.approx(-denoised["mean_delta"])
    assert denoised["share"] == pytest.approx(1) == noised["share"] and denoised["rank"] == 1
    assert denoised["total"] == pytest.approx(denoised["mean_delta"]), "the loss of the clean one minus the other's"
    assert denoised["null_percentile"] == 0, "other answers make it worse"
    assert frame.loc[("denoise", "L0H0"), "mean_delta"] == 0, "it is busy and writes nothing"


def test_what_changes_nothing_by_construction_is_exactly_0_and_said(found):
    result, recorder = found
    frame = recorder.tables["patches"].frame.set_index(["direction", "level"])
    for head, remark in (("L1H0", "same in both"), ("L0H0", "no effect at all"), ("L1H2", "")):
        assert frame.loc[("noise", head), "remark"] == remark
    assert (frame.loc[frame["remark"] != "", ["mean_delta", "share"]] == 0).all(axis=None)
    assert (frame.loc[frame["remark"] == "same in both", "null"] == "").all(), "no null where nothing is measured"
    assert any("L0H2, L1H0, L1H1 hold the same value" in line for line in result.diagnostics.warnings)


def test_effects_equal_a_loop_with_a_hook(data, found):
    network = induction.Repeats(N, 2 * LENGTH + 1)
    rows = data.splits["test"]
    at, told = (torch.from_numpy(part[rows]) for part in data.targets.parts())
    size = network.layers[0]["attn"].size

    def run(ids, layer=None, head=None, value=None):
        kept = []

        def edit(_, inputs):
            kept.append(inputs[0].clone())
            if value is None:
                return None
            h = inputs[0].clone()
            h[:, :, head * size : (head + 1) * size] = value[:, :, head * size : (head + 1) * size]
            return (h,)

        handle = network.layers[layer or 0]["attn"].out.register_forward_pre_hook(edit)
        with torch.no_grad():
            logits = torch.log_softmax(network(ids), 2)
        handle.remove()
        loss = -logits[torch.arange(len(rows))[:, None], at].gather(2, told[:, :, None]).mean()
        return loss.item(), kept[0]

    frame = found[1].tables["patches"].frame.set_index(["direction", "level"])
    clean, corrupted = data.ids[rows], data.control[rows]
    for layer, head in ((0, 1), (1, 2)):
        for direction, into, donors in (("denoise", corrupted, clean), ("noise", clean, corrupted)):
            edited, _ = run(into, layer, head, run(donors, layer)[1])
            expected = edited - run(into)[0]
            assert frame.loc[(direction, f"L{layer}H{head}"), "mean_delta"] == pytest.approx(expected, abs=1e-4)


def test_places_together_stand_beside_the_sum_of_each_alone_and_matched_sets(found):
    result, recorder = found
    single = recorder.tables["patches"].frame.set_index(["direction", "level"])["mean_delta"]
    for table in ("k_sweep", "groups"):
        frame = recorder.tables[table].frame
        for _, row in frame[frame["k"] == 2].iterrows():
            alone = sum(single[(row["direction"], name)] for name in row["members"].split())
            assert row["sum_of_singles"] == pytest.approx(alone)
            assert row["beyond_sum"] == pytest.approx(row["mean_delta"] - alone)
            assert row["beyond_sum_low"] <= row["beyond_sum"] <= row["beyond_sum_high"]
    first = recorder.tables["k_sweep"].frame.set_index(["direction", "k"])
    assert first.loc[("noise", 1), "members"] == "L1H2"
    assert first["null_high"].isna().all(), (
        "no other head of the layer can change anything: beside these all is special"
    )
    assert result.aggregates.custom["largest_set"] == "first 2"
    (curve,) = [figure for figure in result.figures if figure.name == "k_sweep"]
    assert draw(curve, {"k_sweep": recorder.tables["k_sweep"].frame}).axes


def test_the_map_has_a_panel_for_each_direction_and_outlines_what_is_established(found):
    result, recorder = found
    (shown,) = [figure for figure in result.figures if figure.name == "patch_map"]
    axes = draw(shown, {"patches": recorder.tables["patches"].frame}).axes
    for panel in axes[:2]:
        assert panel.images[0].get_array().shape == (2, 3)
        assert {(round(one.get_y()), round(one.get_x())) for one in panel.patches} == {(1, 2)}


def test_only_late_positions_carry_what_differs_and_each_can_be_asked_for(data):
    asked = ActivationPatching(part="attn", positions=["each"], ks=[], n_donors=0, directions=["denoise"])
    frame = patches(asked, setup_of(data))
    assert len(frame) == 2 * (2 * LENGTH + 1) and frame["rank"].isna().all()
    first = frame[frame["pos"].astype(int) <= LENGTH]
    assert (first["remark"] == "same in both").all() and (first["mean_delta"] == 0).all()
    last = frame[frame["pos"].astype(int) == 2 * LENGTH]
    assert (last["remark"] == "no effect at all").all(), "no token is asked for after the last one"
    late = frame[(frame["layer"] == 1) & (frame["remark"] == "")]
    assert late["share"].sum() == pytest.approx(1, abs=1e-4), "each position has its own answer after the last layer"


def test_the_vector_is_that_of_the_table(data, found):
    vector = ActivationPatching(ks=[1]).measured_vector(setup_of(data), MemoryRecorder())
    frame = found[1].tables["patches"].frame
    assert list(vector.labels) == [f"{row.level}, {row.direction}" for row in frame.itertuples()]
    np.testing.assert_allclose(vector.values, frame["mean_delta"], atol=1e-6)
    promised = ActivationPatching(ks=[1]).promised_vector(setup_of(data))
    assert (promised.n_entries, promised.n_clusters, promised.n_contexts) == (12, 12, 12)


class Stream(nn.Module):
    """Adds up three times what an attention's output projection hands through, token by token."""

    def __init__(self, n_tokens):
        super().__init__()
        attn = nn.Module()
        attn.out, attn.n_heads = nn.Linear(n_tokens, n_tokens, bias=False), 1
        attn.out.weight.data = torch.eye(n_tokens)
        self.layers = nn.ModuleList([nn.ModuleDict({"attn": attn})])
        self.table = nn.Parameter(torch.eye(n_tokens))

    def forward(self, tokens, attention_mask=None, position_ids=None):
        mask = torch.ones_like(tokens) if attention_mask is None else attention_mask
        return 3 * (self.layers[0]["attn"].out(self.table[tokens]) * mask[:, :, None]).cumsum(1)


def prompts(tmp_path, n=14, odd=False):
    """Return pairs in which the subject, one or two tokens at another place in each, is what the answer depends on."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(n):
        length, at = int(rng.integers(4, 7)), int(rng.integers(0, 3))
        clean = rng.integers(10, 20, length)
        corrupted = clean.copy()
        answer, wrong = rng.permutation(9)[:2].tolist()
        clean[at], corrupted[at] = answer, wrong
        ids = corrupted.tolist() + ([11] if odd and index == 0 else [])
        row = {"clean": clean.tolist(), "corrupted": ids, "answer": answer, "wrong": wrong}
        rows.append({**row, "positions": {"subject": at}})
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return str(file)


@pytest.mark.parametrize("padding", ["left", "right"])
def test_the_named_position_carries_all_and_no_other_does(tmp_path, padding):
    pairs = PromptPairs(path=prompts(tmp_path), n_tokens=20, padding=padding, sink=False).load()
    asked = ActivationPatching(places=["layers.0.attn.out.input@subject", "layers.0.attn.out.input@end"], ks=[])
    frame = patches(asked, setup_of(pairs, Stream(20))).set_index(["direction", "level"])
    for direction, sign in (("denoise", 1), ("noise", -1)):
        there, end = (frame.loc[(direction, f"layers.0.attn.out.input@{name}")] for name in ("subject", "end"))
        assert there["mean_delta"] == pytest.approx(sign * 6) and there["share"] == pytest.approx(1)
        assert there["established"] and there["n"] == 14
        assert end["mean_delta"] == 0 and end["remark"] == "same in both"
        beyond = there["null_high"] < 6 if sign > 0 else there["null_low"] > -6
        assert beyond and there["null"] == "unrelated donors" and there["null_percentile"] == (100 if sign > 0 else 0)
    assert set(frame["pos"]) == {"@subject", "@end"}


def test_pairs_of_different_lengths_have_only_their_named_positions_patched(tmp_path):
    path = prompts(tmp_path, odd=True)
    with pytest.raises(DataError, match="clean prompt has .* tokens, the corrupted one"):
        PromptPairs(path=path, n_tokens=20).load()
    setup = setup_of(PromptPairs(path=path, n_tokens=20, unequal="keep").load(), Stream(20))
    with pytest.raises(DataError, match="1 of 14 pairs have prompts of different lengths"):
        ActivationPatching(ks=[]).validate(setup)
    named = ActivationPatching(positions=["subject"], ks=[])
    named.validate(setup)
    assert patches(named, setup)["share"].tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (dict(positions=["subjct"]), "no position named 'subjct'"),
        (dict(positions=["99"]), "position 99 sequences have 17 positions"),
        (dict(layers=[7]), "the network has 2, numbered 0 to 1"),
        (dict(places=["L0H9"]), "3 heads, numbered 0 to 2"),
        (dict(part="mlp"), "has no mlp"),
        (dict(groups=["L0H1 & L9H9"]), "there is no row 'L9H9'"),
        (dict(split="test_corrupted"), "must hold clean contexts"),
    ],
)
def test_what_is_not_there_is_refused_at_dry_run(data, asked, message):
    both = {**asked, "fit_split": "train"} if "split" in asked else asked
    setup = setup_of(data)
    if "split" in asked:
        setup = replace(setup, contexts=setup.contexts.paired())
    with pytest.raises((ConfigError, DataError), match=message):
        ActivationPatching(**both).validate(setup)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (dict(directions=[]), "name each once"),
        (dict(groups=["L0H1"]), "joins rows by &"),
        (dict(places=["L0H1"], layers=[1]), "leave layers and positions out"),
        (dict(positions=["a b"]), "a number or a name"),
        (dict(place="L0H1"), "say what in experiment.part"),
    ],
)
def test_what_cannot_be_meant_is_refused(asked, message):
    with pytest.raises(ConfigError, match=message):
        ActivationPatching(**asked)


def test_data_without_pairs_are_refused(data):
    single = replace(data, control=None, digest="")
    with pytest.raises(DataError, match="no pairs of a clean and a corrupted one"):
        ActivationPatching().validate(setup_of(single))


def test_sequences_with_labels_are_paired_with_the_next_of_another_label():
    sums = modular_addition(5, 0.6, 0)
    subject = TokenSubject(sums).paired()
    answers = subject.data.ids.sum(1).numpy() % 5
    assert (answers[subject.pairs[:, 0]] != answers[subject.pairs[:, 1]]).all()
    assert np.ptp(subject.label[subject.pairs], axis=1).max() == 0, "the answer asked for is that to the clean one"
    for name, rows in sums.splits.items():
        own = {tuple(one) for one in sums.ids[rows].tolist()}
        assert all(tuple(one) in own for one in subject.data.ids[subject.splits[name + "_corrupted"]].tolist())
    labels = np.array([0, 0, 1, 1, 0])
    few = TokenData(torch.arange(5)[:, None], labels, np.arange(5), ("0", "1"), {"all": np.arange(5)}, n_tokens=5)
    assert TokenSubject(few).paired().data.ids[5:, 0].tolist() == [2, 2, 4, 4, 2]
    many = np.random.default_rng(0).integers(0, 3, 200_000)
    counting = np.arange(len(many))
    split = {"all": counting}
    wide = TokenData(torch.from_numpy(counting)[:, None], many, counting, ("0", "1", "2"), split, n_tokens=len(many))
    others = TokenSubject(wide).paired().data.ids[len(many) :, 0].numpy()  # runs times rows would not fit in memory
    assert (many[others] != many).all() and others[:3].tolist() == [
        next(j for j in range(i + 1, 100) if many[j] != many[i]) for i in range(3)
    ]


def exchangeable(seed, n=12):
    """Return pairs of which either could be the clean one, and which answer is asked for depends on neither."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 20, (2 * n, 5), generator=generator)
    told = np.random.default_rng(seed).integers(0, 20, n)
    targets = Targets(np.full((2 * n, 1), 4), np.tile(told, 2)[:, None])
    pairs = np.stack([np.arange(n), np.arange(n) + n], 1)
    splits = {"test": np.arange(n), "test_corrupted": np.arange(n) + n}
    return TokenData(ids, None, np.tile(np.arange(n), 2), (), splits, n_tokens=20, targets=targets, pairs=pairs)


def test_as_many_unrelated_donors_are_drawn_as_asked_for(data, monkeypatch):
    drawn = []
    true = work.unrelated
    monkeypatch.setattr(work, "unrelated", lambda *given, **named: drawn.append(len(given[1])) or true(*given, **named))
    patches(ActivationPatching(places=["L1H2"], ks=[], n_donors=7, directions=["noise"]), setup_of(data))
    assert drawn == [7]


def test_unrelated_donors_are_of_another_cluster_and_as_long():
    cluster, lengths = np.array([0, 0, 1, 1, 2, 2] * 2), np.array([3, 3, 3, 4, 4, 4] * 2)
    donors = np.append(np.arange(6, 12), np.full(6, -1))
    units = Donated((), (), (), donors, Held({}, donors), np.zeros(0, bool))
    executor = SimpleNamespace(subject=SimpleNamespace(lengths=lengths, cluster=cluster))
    rows, rng = np.arange(6), np.random.default_rng(0)
    drawn = np.array([one.donors for one in units.unrelated(rows, 200, executor, rng)])
    assert len(drawn) == 200 and (drawn[:, 6:] == -1).all() and (drawn[:, rows] >= 6).all()
    assert (cluster[drawn[:, rows]] != cluster[rows]).all() and (lengths[drawn[:, rows]] == lengths[rows]).all()
    assert {*drawn[:, 2]} == {6, 7} and {*drawn[:, 4]} == {9}, "every one that may be, and no other"
    alone = SimpleNamespace(subject=SimpleNamespace(lengths=np.arange(12), cluster=cluster))
    assert units.unrelated(rows, 2, alone, rng) == []


class Mixed(nn.Module):
    """Random weights: heads whose values all matter, and one whose projection is 0."""

    def __init__(self, n_tokens, heads=6, size=4):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        attn = nn.Module()
        attn.out, attn.n_heads = nn.Linear(heads * size, n_tokens, bias=False), heads
        attn.out.weight.data = torch.randn(n_tokens, heads * size, generator=generator)
        attn.out.weight.data[:, :size] = 0
        self.layers = nn.ModuleList([nn.ModuleDict({"attn": attn})])
        self.table = nn.Parameter(torch.randn(n_tokens, heads * size, generator=generator))

    def forward(self, tokens):
        return self.layers[0]["attn"].out(self.table[tokens].cumsum(1))


def test_where_donors_are_exchangeable_nothing_is_found_more_often_than_the_level_says():
    stats = StatsSpec(n_null=0, n_bootstrap=100, n_permutations=199)
    asked = ActivationPatching(ks=[], n_donors=0, directions=["denoise"], readout="logit_difference")
    network, n_seeds = Mixed(20), 25
    found, p = 0, []
    for seed in range(n_seeds):
        frame = patches(asked, setup_of(exchangeable(seed), network, seed, stats))
        assert frame["mean_delta"].iloc[0] == 0 and frame["remark"].iloc[0] == "no effect at all"
        found += bool((frame["p_adj"] <= 0.05).any())
        p += frame["p"].tolist()[1:]
    assert found <= 5, "5 % of 25 families; 6 or more happen by chance in .1 % of such tests"
    assert 0.35 < np.mean(p) < 0.65


def test_one_place_by_itself_is_nothing_beyond_itself_where_clusters_are_many_too():
    """More than 512 clusters are joined at random: alike for places alone, places together and the whole difference."""
    stats = StatsSpec(n_null=0, n_bootstrap=100, n_permutations=99)
    data = exchangeable(0, n=700)
    halves = {"train": np.arange(100), "test": np.arange(100, 700)}
    ids = torch.cat([data.ids[:700], data.ids[:1].expand(700, -1)])  # one corrupted prompt: the two sides differ
    data = replace(data, ids=ids, splits=halves, digest="")
    asked = ActivationPatching(ks=[1, 5], n_donors=0, directions=["denoise"])
    recorder = MemoryRecorder()
    perform(asked, setup_of(data, Mixed(20), 0, stats), recorder)
    first, most = recorder.tables["k_sweep"].frame.to_dict("records")
    assert first["beyond_sum"] == 0 and np.isnan(first["beyond_sum_low"])
    assert most["share"] == pytest.approx(1) and most["share_method"] == "none: units are equal"


def test_what_is_told_of_the_first_places_together_is_in_the_row_of_the_largest_set():
    stats = StatsSpec(n_null=0, n_bootstrap=200, n_permutations=99)
    data = exchangeable(0, n=40)
    ids = torch.cat([data.ids[:40], data.ids[:1].expand(40, -1)])
    data = replace(data, ids=ids, splits={"train": np.arange(20), "test": np.arange(20, 40)}, digest="")
    recorder = MemoryRecorder()
    result = perform(ActivationPatching(ks=[1, 3], n_donors=0), setup_of(data, Mixed(20), 0, stats), recorder)
    told = " ".join(result.aggregates.custom["summary"])
    frame = recorder.tables["k_sweep"].frame
    single = recorder.tables["patches"].frame.set_index(["direction", "level"])["mean_delta"]
    for direction, row in frame[frame["k"] == 3].set_index("direction").iterrows():
        alone = sum(single[direction, name] for name in row["members"].split())
        assert row["sum_share"] == pytest.approx(alone / row["total"])
        assert row["beyond_sum"] == pytest.approx(row["mean_delta"] - alone)
        ends = "{share:.2f} of the whole difference [{share_low:.2f}, {share_high:.2f}] (k_sweep)".format(**row)
        ends = ends.replace("-", "\N{MINUS SIGN}")
        assert f"{direction.capitalize()}, the first 3 places together ({row['members']}) bring {ends}" in told
        sums = "{sum_share:.2f} of it; together the loss differs from that sum by {beyond_sum:+.3g} "
        ends = "[{beyond_sum_low:+.3g}, {beyond_sum_high:+.3g}] (k_sweep)"
        assert (sums + ends).format(**row).replace("-", "−") in told
