"""`head_ablation` and `prefix_matching` on a network whose heads are known, and on heads that do nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from paribus.errors import ConfigError, DataError
from paribus.experiments.any.ablate.spec import Ablate
from paribus.experiments.any.head_ablation.spec import HeadAblation
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.tokens.prefix_matching.spec import PrefixMatching
from paribus.factors.spec import Heads
from paribus.figures.draw import draw
from paribus.models.nets.modular_transformer import ModularTransformer
from paribus.stats.spec import StatsSpec
from paribus.subjects.tokens.data import modular_addition
from paribus.subjects.tokens.repeated import RepeatedTokens
from paribus.subjects.tokens.subject import TokenSubject

_SPEC = importlib.util.spec_from_file_location("induction", Path(__file__).parents[2] / "golden" / "induction.py")
induction = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(induction)
N, LENGTH = 80, 8


@pytest.fixture(scope="module")
def data():
    return RepeatedTokens(n_sequences=12, n_reference=6, length=LENGTH, n_tokens=N, lowest=1).load()


def setup_of(data, network=None):
    network = induction.Repeats(N, 2 * LENGTH + 1) if network is None else network
    stats = StatsSpec(n_null=20, n_bootstrap=300, n_permutations=999)
    return NetworkSetup(seed=0, stats=stats, contexts=TokenSubject(data), network=network, data=data)


def performed(experiment, setup):
    recorder = MemoryRecorder()
    return perform(experiment, setup, recorder), recorder


def test_the_network_repeats(data):
    logits = induction.Repeats(N, 2 * LENGTH + 1)(data.ids)
    rows = torch.arange(len(data.ids))[:, None]
    told = logits[rows, torch.from_numpy(data.targets.positions)].argmax(2).numpy()
    assert (told == data.targets.ids).mean() > 0.9, "but where a token occurs twice in a copy"


def test_the_relevant_heads_and_no_others_are_found_by_all_ablations_together(data):
    _, recorder = performed(HeadAblation(ablations=["zero", "mean", "resample"], ks=[1, 2]), setup_of(data))
    frame = recorder.tables["heads"].frame
    assert len(frame) == 3 * 6
    found = set(frame["level"][frame["established"]])
    assert found == set(induction.RELEVANT)
    others = frame[~frame["level"].isin(induction.RELEVANT)]
    assert (others["mean_delta"] == 0).all() and (others["p"] == 1).all(), "exactly, as they write nothing"
    assert (frame["readout"] == "loss").all() and "largest of all rows" in recorder.tables["heads"].description
    quiet = frame[(frame["level"] == "L1H0") & (frame["ablation"] == "mean")]
    assert quiet["remark"].tolist() == ["constant here"]


@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_effects_equal_a_loop_with_a_hook(data, ablation):
    network, rng = induction.Repeats(N, 2 * LENGTH + 1), torch.Generator().manual_seed(0)
    with torch.no_grad():  # every channel of every head says something
        for one in network.parameters():
            one.add_(0.05 * torch.randn(one.shape, generator=rng))
    setup = setup_of(data, network)
    _, recorder = performed(HeadAblation(ablations=[ablation], ks=[]), setup)
    frame = recorder.tables["heads"].frame.set_index("level")
    network, rows = setup.network, setup.contexts.splits["test"]
    size, seen = network.layers[0]["attn"].size, {}
    for layer in range(2):
        out = network.layers[layer]["attn"].out
        handle = out.register_forward_pre_hook(lambda _, inputs, layer=layer: seen.update({layer: inputs[0]}))
        with torch.no_grad():
            network(data.ids[setup.contexts.splits["train"]])
        handle.remove()

    def loss(layer=None, head=None):
        def edit(_, inputs):
            value, own = inputs[0].clone(), slice(head * size, (head + 1) * size)
            # the first token may be an attention sink: it is left out of means over positions
            value[:, :, own] = 0 if ablation == "zero" else seen[layer][:, 1:, own].mean((0, 1))
            return (value,)

        handles = [] if layer is None else [network.layers[layer]["attn"].out.register_forward_pre_hook(edit)]
        with torch.no_grad():
            logits = torch.log_softmax(network(data.ids[rows]), 2)
        for handle in handles:
            handle.remove()
        at, ids = (torch.from_numpy(part[rows]) for part in (data.targets.positions, data.targets.ids))
        picked = logits[torch.arange(len(rows))[:, None], at].gather(2, ids[:, :, None])
        return -picked.mean().item()

    for layer, head in ((0, 1), (1, 2), (1, 0)):
        expected = loss(layer, head) - loss()
        assert frame.loc[f"L{layer}H{head}", "mean_delta"] == pytest.approx(expected, abs=2e-5)


def test_the_generic_ablation_of_heads_of_several_layers_is_a_map_of_them(data):
    ablated = Ablate(factor=Heads(ablation="zero"), place="L*.heads", readout="loss", split="test", ks=[2])
    result, recorder = performed(ablated, setup_of(data))
    frame = recorder.tables["effects"].frame
    single = frame[frame["k"] == 1]
    assert (("L" + single["layer"] + "H" + single["head"]) == single["level"]).all() and len(single) == 6
    assert set(single["level"][single["mean_delta"] != 0]) == set(induction.RELEVANT)
    (shown,) = [figure for figure in result.figures if figure.name == "ablate_map"]
    (panel, *_) = draw(shown, {"effects": frame}).axes
    cells = panel.images[0].get_array()
    assert [t.get_text() for t in panel.get_yticklabels()] == ["0", "1"] and cells.shape == (2, 3)
    assert cells[1, 2] == single.set_index("level").loc["L1H2", "mean_delta"]
    framed = {f"L{round(patch.get_y())}H{round(patch.get_x())}" for patch in panel.patches}
    assert framed == set(single["level"][single["established"]]) == set(induction.RELEVANT)


def test_sets_of_the_null_have_as_many_heads_in_each_layer(data):
    from paribus.factors._heads import layered
    from paribus.measure import Executor

    executor = Executor(induction.Repeats(N, 2 * LENGTH + 1), TokenSubject(data))
    sites = [f"layers.{layer}.attn.out.input" for layer in range(2)]
    heads = layered(sites, executor, "zero", np.random.default_rng(0))
    assert heads.names == ("L0H0", "L0H1", "L0H2", "L1H0", "L1H1", "L1H2")
    off = np.array([[True, False, False, True, False, False], [True, True, False, False, False, False]])
    drawn = heads.like(off, 30, np.random.default_rng(1))
    assert {tuple(sorted(draw)) for draw in drawn[0].tolist()} == {(1, 4), (1, 5), (2, 4), (2, 5)}
    assert drawn[1].shape == (0, 2), "the layer has one other head, not two"


def test_a_resampled_head_has_the_value_of_a_context_that_is_not_reported(data):
    from paribus.factors._heads import layered
    from paribus.measure import Executor

    executor = Executor(induction.Repeats(N, 2 * LENGTH + 1), TokenSubject(data))
    sites = [f"layers.{layer}.attn.out.input" for layer in range(2)]
    heads = layered(sites, executor, "resample", np.random.default_rng(0)).fit(executor, data.splits["train"])
    rows = data.splits["test"]
    before, given = (executor.values(sites[1], some) for some in (rows, data.splits["train"]))
    after = heads.remove(np.arange(6) == 5, rows).edits[1].forward(before)
    own = slice(2 * heads.size, 3 * heads.size)
    assert after[:, : own.start].equal(before[:, : own.start]) and not after[:, own].equal(before[:, own])
    donors = [[row for row, one in enumerate(given[:, own]) if value.equal(one)] for value in after[:, own]]
    assert all(donors) and len({row for found in donors for row in found}) > 2, "of several, each as it was"


def test_an_unmatched_set_hits_a_critical_head_by_chance_and_stands_beside_the_matched_ones(data):
    _, recorder = performed(HeadAblation(ablations=["zero"], ks=[1], unmatched=True), setup_of(data))
    (row,) = recorder.tables["k_sweep"].frame.to_dict("records")
    assert row["null_low"] == row["null_high"] == 0, "no other head of the layer does anything"
    assert row["unmatched_null_median"] == 0 < row["unmatched_null_high"], "some draws take the other relevant head"
    assert 50 < row["unmatched_null_percentile"] <= 100
    _, plain = performed(HeadAblation(ablations=["zero"], ks=[1]), setup_of(data))
    assert not [name for name in plain.tables["k_sweep"].frame if name.startswith("unmatched")]


def test_scores_name_the_induction_head_and_are_not_effects(data):
    result, recorder = performed(PrefixMatching(), setup_of(data))
    frame = recorder.tables["heads"].frame.set_index("level")
    assert frame["score"].idxmax() == "L1H2" and frame.loc["L1H2", "score"] > 0.9
    assert frame.loc["L1H2", "established"] and frame.loc["L1H2", "score_control"] < 0.2
    assert frame.loc["L0H1", "score"] < 0.1, "it looks back by one: it matters, and its score is low"
    assert str(result.evidence) == "observational"


def test_the_head_that_looks_one_back_is_named_and_the_first_copy_is_guessed(data):
    setup = setup_of(data)
    result, recorder = performed(PrefixMatching(), setup)
    frame = recorder.tables["heads"].frame.set_index("level")
    assert frame["score_previous"].idxmax() == "L0H1" and frame.loc["L0H1", "score_previous"] == pytest.approx(1)
    rows, begin = setup.contexts.splits["test"], 1 + LENGTH
    with torch.no_grad():
        logs = torch.log_softmax(setup.network(data.ids[rows]), 2)
    right = -logs[:, :-1].gather(2, data.ids[rows][:, 1:, None])[:, :, 0]
    loss = recorder.tables["loss"].frame.iloc[0]
    assert loss["loss_repeat"] == pytest.approx(right[:, begin:].mean().item(), rel=1e-5)
    per_row = []
    for row, tokens in enumerate(data.ids[rows].tolist()):
        copy = tokens[1:begin]
        alone = [at for at in range(1, LENGTH) if copy.index(copy[at - 1]) == at - 1]  # after a token that is new
        per_row.append(np.mean([right[row, at].item() for at in alone]))
    assert loss["loss_first"] == pytest.approx(np.mean(per_row), rel=1e-5) and loss["loss_first"] > 2
    told = " ".join(result.aggregates.custom["summary"])
    assert f"Loss of {loss['loss_repeat']:.3g} nats on the repeat, {loss['loss_first']:.3g} on the same" in told
    assert "most attention is that of L0H1 1.000" in told


def test_what_cannot_be_asked_is_refused_beforehand(data):
    with pytest.raises(DataError, match="needs sequences that repeat"):
        PrefixMatching().validate(setup_of(modular_addition(7, 0.6, 0)))
    with pytest.raises(ConfigError, match="no such split"):
        PrefixMatching(split="tets").validate(setup_of(data))
    plain = torch.nn.Sequential(torch.nn.Embedding(N, 4), torch.nn.Linear(4, N))
    with pytest.raises(ConfigError, match="no layers with attention"):
        HeadAblation().validate(setup_of(data, plain))
    with pytest.raises(ConfigError, match="name each once"):
        HeadAblation(ablations=[])


class TwoHeads(torch.nn.Module):
    """Head 0 holds the position alone, head 1 holds a token in one of two orders: the same mean, other values."""

    def __init__(self):
        super().__init__()
        attn = torch.nn.Module()
        attn.out, attn.n_heads = torch.nn.Linear(2, 2, bias=False), 2
        self.layers = torch.nn.ModuleList([torch.nn.ModuleDict({"attn": attn})])

    def forward(self, tokens):
        places = torch.arange(tokens.shape[1], dtype=torch.float32).expand_as(tokens)
        logits = self.layers[0]["attn"].out(torch.stack([places, tokens.float()], -1))
        return torch.nn.functional.pad(logits, (0, 1))  # of three tokens


def test_a_head_is_constant_only_where_no_value_that_is_set_differs():
    """Values whose mean over positions is the same in all contexts are not constant; a mean is one over positions."""
    from paribus.experiments.any.head_ablation.work import CONSTANT
    from paribus.subjects.tokens.data import Targets, TokenData

    ids = torch.tensor([[1, 2], [2, 1]] * 10)
    targets = Targets(np.ones((20, 1), np.int64), np.zeros((20, 1), np.int64))
    splits = {"train": np.arange(10), "test": np.arange(10, 20)}
    data = TokenData(ids, None, np.arange(20), (), splits, n_tokens=3, targets=targets)
    _, recorder = performed(HeadAblation(ablations=["mean", "resample"], ks=[]), setup_of(data, TwoHeads()))
    frame = recorder.tables["heads"].frame.set_index(["ablation", "head"])
    remarks = {key: frame.loc[key, "remark"] for key in frame.index}
    assert remarks == {("mean", 0): "", ("mean", 1): "", ("resample", 0): CONSTANT, ("resample", 1): ""}
    assert frame.loc[("resample", 0), "mean_delta"] == 0 and frame.loc[("mean", 0), "mean_delta"] != 0


def test_scores_stand_beside_effects_with_their_rank_correlation(data):
    _, recorder = performed(HeadAblation(ablations=["zero"], ks=[]), setup_of(data))
    _, looked = performed(PrefixMatching(), setup_of(data))
    frame, expected = recorder.tables["heads"].frame, looked.tables["heads"].frame["score"]
    assert frame["score"].tolist() == pytest.approx(expected.tolist())
    (row,) = recorder.tables["score_and_effect"].frame.to_dict("records")
    assert row["n"] == 6 and row["rank_correlation"] == pytest.approx(
        spearmanr(frame["score"], frame["mean_delta"].abs()).statistic
    )
    assert [figure.name for figure in recorder.figures].count("score_and_effect") == 1


def test_a_network_that_shows_no_pattern_has_effects_without_scores(data):
    network = induction.Repeats(N, 2 * LENGTH + 1)
    for layer in network.layers:
        attn = layer["attn"]
        attn.mixed = attn.pattern
        del attn.pattern
        attn.__dict__["pattern"] = lambda value: value
    _, recorder = performed(HeadAblation(ablations=["zero"], ks=[]), setup_of(data, network))
    assert "score" not in recorder.tables["heads"].frame and "score_and_effect" not in recorder.tables
    assert any("No score of prefix_matching" in line for line in recorder.diagnostics.warnings)
    with pytest.raises(ConfigError, match="no module named 'pattern' hands on the attention of layers.0.attn.out"):
        HeadAblation(ablations=["zero", "pattern"]).validate(setup_of(data, network))


def test_an_ablated_pattern_is_the_mean_over_other_contexts_position_by_position():
    """Against a loop; where attention is constant it cannot show a head whose output the answer needs."""
    sums, rng = modular_addition(7, 0.6, 0), torch.Generator().manual_seed(0)
    asked = HeadAblation(ablations=["pattern", "mean"], ks=[], readout="label_margin")
    for coeff in (1.0, 0.0):
        network = ModularTransformer(7, d_model=8, n_heads=2, attn_coeff=coeff, generator=rng).eval()
        _, recorder = performed(asked, setup_of(sums, network))
        frame = recorder.tables["heads"].frame.set_index(["ablation", "head"])
        pattern, kept = network.blocks[0].attn.pattern, []
        handle = pattern.register_forward_hook(lambda *found, kept=kept: kept.append(found[2]))
        with torch.no_grad():
            network(sums.ids[sums.splits["train"]])
        handle.remove()

        def margin(head=None, network=network, pattern=pattern, kept=kept):
            def edit(_, __, value):
                value = value.clone()
                value[:, head] = kept[0][:, head].mean(0)
                return value

            handle = pattern.register_forward_hook(edit) if head is not None else None
            with torch.no_grad():
                logits, labels = network(sums.ids[sums.splits["id_val"]]), sums.labels[sums.splits["id_val"]]
            if handle is not None:
                handle.remove()
            own = logits[range(len(labels)), labels]
            return (own - (logits.sum(1) - own) / 6).mean().item()

        for head in range(2):
            row = frame.loc[("pattern", head)]
            assert row["mean_delta"] == pytest.approx(margin(head) - margin(), abs=1e-6)
            assert row["level"] == frame.loc[("mean", head), "level"] == f"head {head}"
            assert (row["mean_delta"] != 0) == (coeff == 1.0) == (row["remark"] == "")
            assert frame.loc[("mean", head), "mean_delta"] != 0
    with pytest.raises(ConfigError, match="leave positions out"):
        HeadAblation(ablations=["pattern"], place="L*.heads|pos:-1").validate(setup_of(sums, network))


def test_the_vector_is_the_table_of_single_heads(data):
    asked = HeadAblation(ablations=["zero", "mean"], ks=[1])
    _, recorder = performed(asked, setup_of(data))
    frame = recorder.tables["heads"].frame
    found = asked.measured_vector(setup_of(data), MemoryRecorder())
    assert list(found.labels) == [f"{row.level}, {row.ablation}" for row in frame.itertuples()]
    assert found.values.tolist() == frame["mean_delta"].tolist()
    assert asked.promised_vector(setup_of(data)).n_entries == len(frame) == 12
