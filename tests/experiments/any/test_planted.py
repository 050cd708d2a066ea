"""The generic experiments find what is planted, agree with naive loops, and are silent where nothing is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError, DataError
from paribus.experiments.any.ablate.spec import Ablate
from paribus.experiments.any.cores.spec import Cores
from paribus.experiments.any.grid.spec import Grid
from paribus.experiments.any.interact.spec import Interact
from paribus.experiments.any.patch.spec import Patch
from paribus.experiments.any.probe.spec import Probe
from paribus.experiments.any.swap.spec import Swap
from paribus.experiments.any.sweep.spec import Sweep
from paribus.factors import spec as factors
from paribus.figures.draw import draw
from paribus.measure import ArraySubject, Contexts, Executor, InputFactor, InputUnits, Outputs, stack
from paribus.measure.binding import FactorSpec
from paribus.methods import contrast
from paribus.methods.contrast import Reading
from paribus.methods.cores import cores

from . import sequences
from .conftest import performed, setup_of

ZERO = factors.Units(ablation="zero")


def rows_reported(setup, split="all"):
    """The half that is reported, as the experiments choose it."""
    cluster, rows = setup.contexts.cluster, setup.contexts.splits[split]
    ids = np.unique(cluster[rows])
    fit = np.isin(cluster[rows], setup.rng("halves").permutation(ids)[: len(ids) // 2])
    return rows[~fit]


def naive(setup, rows, edit):
    """The label's logit minus the mean of the others, with and without an edit of the hidden layer, one by one."""
    network, inputs = setup.network, setup.contexts.contexts.given.tensors[0]
    out = []
    for row in rows:
        found = []
        for change in (None, edit):
            hook = (
                None if change is None else network.gate.register_forward_hook(lambda m, a, h, e=change: e(h.clone()))
            )
            logits = network(inputs[row : row + 1])[0].detach().double()
            if hook is not None:
                hook.remove()
            own = int(setup.contexts.label[row])
            found.append(float(logits[own] - logits[1 - own]))
        out.append(found[1] - found[0])
    return np.array(out)


def test_ablate_finds_the_unit_and_equals_a_naive_loop(planted):
    result, frame = performed(Ablate(factor=ZERO, place="gate", readout="output", outputs=["1"], ks=[2]), planted)
    by_level = frame.set_index("level")
    assert result.aggregates.custom["headline_level"] == "strongest 2"
    assert by_level.loc["unit 2", "established"] and by_level.loc["unit 2", "inclusion"] == 1.0
    assert by_level.loc["unit 2", "rank"] == 1 and by_level.loc["unit 2", "null_percentile"] < 5
    for dead in ("unit 3", "unit 4", "unit 5"):
        assert by_level.loc[dead, "mean_delta"] == 0.0 and by_level.loc[dead, "p"] == 1.0
        assert not by_level.loc[dead, "established"]
    assert result.diagnostics.engine.parity_max_abs_diff < 1e-5


def test_ablation_equals_the_loop_under_every_setting(planted):
    rows = rows_reported(planted)
    fit = np.setdiff1d(np.arange(160), rows)
    h = torch.relu(planted.network.hidden(planted.contexts.contexts.given.tensors[0])).detach()
    mean = h[fit].mean(0)

    def edit(h):
        h[:, 2] = mean[2]
        return h

    experiment = Ablate(factor=factors.Units(ids=[2, 5], ablation="mean"), place="gate", ks=[])
    _, frame = performed(experiment, planted)
    expected = naive(planted, rows, edit)
    row = frame.set_index("level").loc["unit 2"]
    assert row["n"] == len(rows)
    assert row["mean_delta"] == pytest.approx(expected.mean(), abs=1e-6)
    assert row["std_delta"] == pytest.approx(expected.std(ddof=1), abs=1e-5)


def test_interact_finds_the_product_and_no_other_pair(planted):
    experiment = Interact(factor=ZERO, place="gate", readout="output", outputs=["1"], n_units=4)
    _, frame = performed(experiment, planted)
    found = frame.set_index("level")
    assert found.index[found["established"]].tolist() == ["unit 0 x unit 1"]
    x = planted.contexts.contexts.given.tensors[0][rows_reported(planted)]
    assert found.loc["unit 0 x unit 1", "mean_delta"] == pytest.approx(float((x[:, 1] * x[:, 2]).mean()), abs=1e-5)
    assert (found.loc[~found["established"], "mean_delta"] == 0).all()


def test_cores_finds_the_smallest_sets(planted):
    experiment = Cores(factor=ZERO, place="gate", readout="output", outputs=["1"], n_units=4, threshold=0.5)
    result, frame = performed(experiment, planted)
    table = result.tables["cores"].frame
    x = planted.contexts.contexts.given.tensors[0][rows_reported(planted)].numpy()
    alone, both = 2 * x[:, 0], x[:, 1] * x[:, 2]
    total = alone + both
    expected = {
        "unit 2": float((alone >= total / 2).mean()),
        "unit 0 + unit 1": float((both >= total / 2).mean()),
    }
    assert dict(zip(table["core"], table["share"], strict=True)) == pytest.approx(expected)
    assert frame.set_index("level").loc["unit 2", "in_cores"] == pytest.approx(expected["unit 2"])


def test_a_context_where_all_units_do_little_does_not_decide_what_a_core_keeps():
    x = np.array(
        [[5.0, -4.999], [1.0, 0.0]], np.float32
    )  # the first unit keeps 5,000 times what both do, and all of it

    class Sum(nn.Module):
        def forward(self, x):
            return x.sum(1, keepdim=True)

    class Columns(InputUnits):
        name, names = "columns", ("0", "1")

        def keep(self, cells, on):
            return stack([cells.with_value(0, cells.values[0] * row.astype(np.float32)) for row in on])

    executor = Executor(Sum(), ArraySubject(Contexts(inputs=x)))
    found = cores(Reading(executor, Outputs(), np.arange(2)), Columns(), [0, 1])
    assert found.sets.tolist() == [[True, False]] and found.found.all()
    assert found.retention == pytest.approx([(5 + 1) / (0.001 + 1)], rel=1e-3)


def test_steering_is_exact_along_a_given_direction(planted):
    given = factors.Directions(method="given", values=[0, 0, 1, 0, 0, 0], alphas=[-1, 1, 2])
    result, frame = performed(Sweep(factor=given, place="gate", readout="output", outputs=["1"]), planted)
    rows = rows_reported(planted)
    fit = np.setdiff1d(np.arange(160), rows)
    sigma = float(planted.contexts.contexts.given.tensors[0][fit, 0].std(correction=0))
    assert frame["mean_delta"].tolist() == pytest.approx([-2 * sigma, 2 * sigma, 4 * sigma], abs=1e-4)
    assert result.tables["slope"].frame["mean_delta"].item() == pytest.approx(2 * sigma, abs=1e-4)
    assert result.aggregates.custom["trend_rho"] == pytest.approx(1.0)
    assert "against the baseline 0:" in result.aggregates.custom["summary"][0]


def test_grid_of_a_line_has_no_interaction(planted):
    one = factors.Directions(method="given", values=[0, 0, 1, 0, 0, 0], alphas=[1, 2])
    other = factors.Directions(method="given", values=[1, 0, 0, 0, 0, 0], alphas=[1])
    experiment = Grid(factor=one, other=other, place="gate", readout="output", outputs=["1"])
    result, frame = performed(experiment, planted)
    assert len(frame) == 5 and frame["established"].all()
    assert result.aggregates.custom["baseline"] == "0 x 0"
    assert not result.tables["interactions"].frame["established"].any()


@pytest.mark.parametrize("place", ["2.input", "2.output"])
@pytest.mark.parametrize(
    "make",
    [
        lambda place: Interact(factor=factors.Units(), place=place, n_units=3, readout="output", outputs=["1"]),
        lambda place: Grid(
            factor=factors.Directions(alphas=[1, 2]), other=factors.Directions(method="pc", alphas=[1]), place=place
        ),
        lambda place: Sweep(factor=factors.Directions(alphas=[-1, 1]), place=place, readout="label_margin"),
    ],
    ids=["interact", "grid", "sweep"],
)
def test_rounding_is_no_effect_where_the_rest_is_linear(make, place):
    """At a linear head two edits add up exactly; toward balanced own labels one direction's moves cancel."""
    rng = np.random.default_rng(0)
    x = rng.normal(3, 1, (200, 4)).astype(np.float32)
    y = np.tile([0, 1], 100)
    x[:, 0] += y
    setup = setup_of(random_network(0), Contexts(inputs=x, label=y, cluster=np.arange(200) // 4))
    experiment = make(place)
    result, frame = performed(experiment, setup)
    table = result.tables.get("interactions") or result.tables["effects"]
    assert (table.frame["mean_delta"] == 0).all() and (table.frame["p"] == 1).all()
    assert not table.frame["established"].any() and (table.frame["inclusion"] == 0).all()


def test_directions_are_read_toward_one_class(planted):
    _, frame = performed(Sweep(factor=factors.Directions(alphas=[1.0]), place="gate"), planted)
    assert frame["readout"].tolist() == ["margin of output 1"] and frame["mean_delta"].item() > 0
    _, frame = performed(Sweep(factor=factors.Erase(methods=["leace"], target="label"), place="gate"), planted)
    assert frame["readout"].tolist() == ["label_margin"]


def test_what_a_patch_establishes_is_outlined_on_the_map(planted):
    places = [f"{site}|channel:{unit}" for site in ("hidden", "gate") for unit in (2, 3)]
    experiment = Patch(factor=factors.Patch(), places=places, readout="label_margin", n_donors=3)
    result, frame = performed(experiment, planted)
    assert frame.loc[frame["established"], "part"].tolist() == ["channel=2", "channel=2"]
    (shown,) = [figure for figure in result.figures if figure.name == "patch_map"]
    made = draw(shown, {name: table.frame for name, table in result.tables.items()})
    assert sorted(round(patch.get_x()) for patch in made.axes[0].patches) == [0, 0]
    assert sorted(round(patch.get_y()) for patch in made.axes[0].patches) == [0, 1]


class Stretched(nn.Module):
    """Reads the one direction of its inputs that has nearly all of their variance."""

    def __init__(self):
        super().__init__()
        self.gate, self.out = nn.Identity(), nn.Linear(8, 2, bias=False)
        self.out.weight = nn.Parameter(torch.tensor([[0.0] * 8, [1.0] + [0.0] * 7]))

    def forward(self, x):
        return self.out(self.gate(x))


def test_erasing_is_told_from_both_nulls_which_answer_different_questions():
    """Any subspace of usual variance would do what this eraser does: special among all, usual among those."""
    rng = np.random.default_rng(3)
    x = rng.normal(0, [10.0] + [0.1] * 7, (160, 8)).astype(np.float32)
    contexts = Contexts(inputs=x, label=(x[:, 0] > 0).astype(np.int64), cluster=np.arange(160) // 2)
    erase = factors.Erase(methods=["mean_difference"], target="label")
    result, frame = performed(
        Sweep(factor=erase, place="gate", readout="label_margin"), setup_of(Stretched(), contexts)
    )
    nulls = result.tables["nulls"].frame.set_index("null")
    among_all, among_usual = (nulls.loc[f"random subspaces of the same rank{more}"] for more in (
        "", " drawn from the covariance",
    ))  # fmt: skip
    assert frame["null_percentile"].item() == among_all["null_percentile"] < 5
    assert among_usual["null_median"] == pytest.approx(frame["mean_delta"].item(), rel=0.05)
    assert abs(among_all["null_median"]) < 0.6 * abs(frame["mean_delta"].item())
    assert (nulls["n_draws"] == 20).all()


class TestLevelsOfTheInputs:
    """Factors of the inputs have a null where no feature is read: their own levels, interchanged."""

    def contexts(self, seed=0):
        rng = np.random.default_rng(seed)
        x = np.stack([rng.integers(0, 4, 160), rng.integers(0, 3, 160)], 1).astype(np.float32)
        return Contexts(inputs=x, cluster=np.arange(160) // 2)

    def setup(self, gains):
        net = nn.Sequential(nn.Identity(), Steps(gains))
        return setup_of(net, self.contexts(), n_null=99)

    def test_the_level_that_differs_stands_out_in_a_swap_and_like_ones_do_not(self):
        _, frame = performed(Swap(factor=Value(), readout="output", outputs=["0"]), self.setup([0.0, 0.0, 0.0, 5.0]))
        assert set(frame["null"]) == {"levels interchanged within clusters"}
        found = frame.set_index("level")["null_percentile"]
        assert found["0 -> 3"] == 100 and found["any -> 3"] == 100
        assert (frame.loc[frame["level"].isin(["0 -> 1", "0 -> 2"]), "null_percentile"] < 90).all()

    def test_a_sweep_and_a_grid_have_it_too(self):
        setup = self.setup([0.0, 1.0, 1.0, 5.0])
        _, frame = performed(Sweep(factor=Value(), readout="output", outputs=["0"]), setup)
        assert frame.set_index("level").loc["3", "null_percentile"] == 100
        result, frame = performed(
            Grid(factor=Value(), other=Value(column=1, n=3), readout="output", outputs=["0"]), setup
        )
        assert set(frame["null"]) == {"levels interchanged within clusters"}
        joint = result.tables["interactions"].frame
        assert (joint["mean_delta"] == 0).all() and (joint["null_low"] == 0).all() and (joint["null_high"] == 0).all()


class Steps(nn.Module):
    """A number for each value of the first input."""

    def __init__(self, gains):
        super().__init__()
        self.gains = nn.Parameter(torch.tensor(gains))

    def forward(self, x):
        return torch.stack([self.gains[x[:, 0].long()], x[:, 1]], 1)


@dataclass(frozen=True)
class Value(FactorSpec):
    """The value of an input."""

    subject: ClassVar[str] = "arrays"
    column: int = 0
    n: int = 4

    def bind(self, to):
        return Values(self.column, self.n, np.asarray(to.executor.subject.contexts.given.tensors[0]))


class Values(InputFactor):
    def __init__(self, column, n, x):
        self.name, self.labels = f"input {column}", tuple(map(str, range(n)))
        self._column, self._own = column, x[:, column].astype(np.int64)

    def edit(self, cells):
        return stack([self._with(cells, level) for level in range(self.n_levels)])

    def _with(self, cells, level):
        values = np.array(cells.values[0])
        values[..., self._column] = level
        return cells.with_value(0, values)

    def observed(self, columns):
        return self._own[columns]


def test_the_null_of_an_expensive_place_has_fewer_draws_and_says_so(planted, monkeypatch):
    monkeypatch.setattr(contrast, "MOST_ROWS", 300)
    monkeypatch.setattr(contrast, "LEAST_DRAWS", 2)
    result, frame = performed(Sweep(factor=factors.Directions(alphas=[1.0]), place="hidden"), planted)
    assert any("the null has 3 draws instead of 20" in warning for warning in result.diagnostics.warnings)
    assert frame["null_percentile"].notna().all()


def test_probe_reads_the_label_on_other_clusters_and_says_it_only_looked(planted):
    result, frame = performed(Probe(place="hidden", targets=["label", "domain"]), planted)
    assert str(result.evidence) == "observational" == str(result.tables["effects"].evidence)
    found = frame.set_index("target")
    assert found.loc["label", "established"] and found.loc["label", "mean_readout"] > 0.9
    assert not found.loc["domain", "established"]


def silent(make, n_seeds=20):
    """The share of seeds at which anything is established."""
    said = 0
    for seed in range(n_seeds):
        experiment, setup = make(seed)
        said += bool(performed(experiment, setup)[1]["established"].any())
    return said / n_seeds


def noise(seed, n=60):
    rng = np.random.default_rng(100 + seed)
    x = rng.normal(0, 1, (n, 4)).astype(np.float32)
    y = rng.integers(0, 2, n)
    return Contexts(inputs=x, label=y, domain=rng.integers(0, 2, n), cluster=np.arange(n))


def random_network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))


@pytest.mark.parametrize(
    "experiment",
    [
        Probe(place="0", targets=["label", "domain"], n_controls=0),
        Sweep(factor=factors.Directions(alphas=[1.0]), place="1", readout="label_margin"),
        Sweep(factor=factors.Erase(methods=["mean_difference"]), place="1", readout="correct"),
        Ablate(factor=factors.Units(ids=[0, 1, 2], ablation="mean"), place="1", readout="label_margin", ks=[]),
    ],
    ids=lambda one: one.type,
)
def test_shuffled_labels_establish_nothing_more_often_than_the_level(experiment):
    """Labels say nothing of the inputs: the margin toward them moves neither way on average."""
    rate = silent(lambda seed: (experiment, setup_of(random_network(seed), noise(seed), seed=seed, n_null=0)))
    assert rate <= 0.2  # 20 seeds at a level of .05: more than 4 have a chance of .003


def test_a_random_direction_is_nothing_special_among_random_ones():
    """The null is made of what it names: a draw of it is anywhere in it."""
    places = []
    for seed in range(20):
        experiment = Sweep(factor=factors.Directions(method="random", alphas=[1.0]), place="1", readout="margin")
        setup = setup_of(random_network(seed), noise(seed), seed=seed)
        places.append(performed(experiment, setup)[1]["null_percentile"].item())
    assert 25 < np.mean(places) < 75
    assert np.mean([place < 5 or place > 95 for place in places]) <= 0.4


class TestSequences:
    """The same types on a subject from outside the package, with a transformer."""

    @pytest.fixture
    def setup(self):
        torch.manual_seed(0)
        return setup_of(sequences.Transformer(), sequences.contexts(), subject=sequences.Sequences)

    def test_patch_brings_the_whole_difference_at_the_place_that_carries_it(self, setup):
        experiment = Patch(
            factor=factors.Patch(donors="split", split="clean"),
            split="corrupted",
            readout="logit_difference",
            outputs=["one", "two"],
            places=["embed|pos:1", "embed|pos:0", "blocks.0|pos:1", "blocks.1|pos:-1", "blocks.1|pos:2"],
        )
        result, frame = performed(experiment, setup)
        forward = frame[frame["direction"] == "clean -> corrupted"].set_index("level")
        back = frame[frame["direction"] == "corrupted -> clean"].set_index("level")
        for way in (forward, back):
            assert way.loc["embed|pos:1", "mean_delta"] == pytest.approx(way["total"].iloc[0], abs=1e-5)
            assert way.loc["blocks.1|pos:-1", "mean_delta"] == pytest.approx(way["total"].iloc[0], abs=1e-5)
            assert way.loc["embed|pos:0", "mean_delta"] == way.loc["blocks.1|pos:2", "mean_delta"] == 0.0
        assert any("changes nothing at all at" in warning for warning in result.diagnostics.warnings)

    def test_patches_of_several_layers_and_positions_are_a_map(self, setup):
        experiment = Patch(
            factor=factors.Patch(donors="split", split="clean"), split="corrupted", both=False, readout="output",
            outputs=["two"], places=["embed|pos:0", "embed|pos:1", "blocks.0|pos:1", "blocks.0|pos:0"], n_donors=2,
        )  # fmt: skip
        result, frame = performed(experiment, setup)
        (shown,) = [figure for figure in result.figures if figure.name == "patch_map"]
        assert (shown.columns["y"], shown.columns["x"], shown.columns["panel"]) == ("site", "pos", "direction")
        assert frame["pos"].tolist() == ["0", "1", "1", "0"] and "head" not in frame

    def test_patch_equals_a_naive_loop(self, setup):
        experiment = Patch(
            factor=factors.Patch(donors="split", split="clean"),
            split="corrupted",
            both=False,
            readout="output",
            outputs=["two"],
            places=["blocks.0|pos:1"],
            n_donors=3,
        )
        _, frame = performed(experiment, setup)
        network, ids = setup.network, setup.contexts.contexts.given.tensors[0]
        splits, seen, found = setup.contexts.splits, [], []
        for own, donor in zip(splits["corrupted"], splits["clean"], strict=True):
            hook = network.blocks[0].register_forward_hook(lambda m, a, h: seen.append(h.clone()))
            network(ids[donor : donor + 1])
            base = network(ids[own : own + 1])[0, 1].item()
            hook.remove()

            def graft(module, args, h, value=seen[-2]):
                out = h.clone()
                out[:, 1] = value[:, 1]
                return out

            hook = network.blocks[0].register_forward_hook(graft)
            found.append(network(ids[own : own + 1])[0, 1].item() - base)
            hook.remove()
        assert frame["mean_delta"].item() == pytest.approx(np.mean(found), abs=1e-5)
        assert frame["std_delta"].item() == pytest.approx(np.std(found, ddof=1), abs=1e-5)

    @pytest.mark.parametrize(
        "experiment",
        [
            Sweep(factor=sequences.Token(position=1, tokens=[1, 2, 3])),
            Grid(factor=sequences.Token(position=1), other=factors.Directions(alphas=[1.0]), place="head.input"),
            Swap(factor=sequences.Token(position=1), readout="output", outputs=["one"]),
            Interact(factor=sequences.Masked(), n_units=3, readout="output", outputs=["one"]),
            Cores(factor=sequences.Masked(), n_units=3, readout="output", outputs=["one"]),
            Ablate(factor=sequences.Masked(), ks=[2]),
            Ablate(factor=factors.Heads(n_heads=2), place="blocks.1.linear1.input", ks=[]),
            Sweep(factor=factors.Erase(methods=["leace"]), place="blocks.0|pos:1", n_contexts=40),
            Patch(factor=factors.Patch(), places=["embed|pos:1"], n_donors=2),
            Probe(places=["embed|pos:1", "blocks.0"], n_controls=3),
        ],
        ids=lambda one: one.type,
    )
    def test_every_type_runs_and_keeps_the_rules_of_intervals(self, setup, experiment, rules):
        result, frame = performed(experiment, setup)
        assert [line for table in result.tables.values() for line in rules.problems(table)] == []
        assert rules.kept_numbers(result.aggregates.custom) == []
        assert rules.unsound(frame, 0.05).empty
        assert {"level", "mean_delta", "ci_low", "ci_adj_low", "n", "n_clusters", "p", "p_method", "p_adj"} <= set(
            frame
        )
        assert {"null_low", "null_median", "null_high", "null_percentile", "inclusion"} <= set(frame)
        assert result.figures and result.aggregates.n_samples

    def test_swap_is_causal_where_grouping_is_confounded(self, setup):
        experiment = Swap(factor=sequences.Token(position=1), readout="output", outputs=["one"], split="clean")
        result, frame = performed(experiment, setup)
        ids, network = setup.contexts.contexts.given.tensors[0], setup.network
        rows = setup.contexts.splits["clean"]
        swapped = ids[rows].clone()
        swapped[:, 1] = 3 - swapped[:, 1]
        change = (network(swapped) - network(ids[rows]))[:, 0].detach().numpy()
        own = ids[rows, 1].numpy()
        found = frame.set_index("level")["mean_delta"]
        assert found["token 1 -> token 2"] == pytest.approx(change[own == 1].mean(), abs=1e-5)
        assert found["any -> token 1"] == pytest.approx(change[own == 2].mean(), abs=1e-5)
        assert str(result.tables["observed"].evidence) == "observational"


class TestRefusals:
    """What does not fit is refused by name before anything is measured."""

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: Sweep(factor=factors.Directions(), place="gaet"), "did you mean 'gate'"),
            (lambda: Ablate(factor=factors.Units(ids=[9]), place="gate"), "has 6 units, numbered 0 to 5, got 9"),
            (lambda: Ablate(factor=sequences.Masked()), "varies sequences, the data are arrays"),
            (lambda: Ablate(factor=factors.Directions()), "has levels and is no set of units"),
            (lambda: Sweep(factor=factors.Units()), "have no levels; use experiment=ablate"),
            (lambda: Swap(factor=factors.Directions()), "contexts show no level"),
            (lambda: Interact(factor=factors.Units(ids=[1]), place="gate"), "an interaction needs two"),
            (lambda: Sweep(factor=factors.Directions(), split="ood"), "there is no such split; valid: all"),
            (lambda: Sweep(factor=factors.Directions(), readout="margin", outputs=["x"]), "has no output 'x'"),
            (lambda: Sweep(factor=factors.Directions(), readout="feature"), "none is chosen; say feature=NAME"),
            (lambda: Sweep(factor=factors.Latent(), place="gate"), "has no sparse autoencoder"),
            (lambda: Ablate(factor=factors.Heads(), place="gate"), "how many heads it has"),
        ],
    )
    def test_by_name(self, planted, make, words):
        with pytest.raises(ConfigError, match=words):
            make().validate(planted)

    def test_a_swap_among_contexts_that_show_one_level(self):
        torch.manual_seed(0)
        setup = setup_of(sequences.Transformer(), sequences.contexts(), subject=sequences.Sequences)
        one = np.flatnonzero(setup.contexts.contexts.given.tensors[0][:, 1].numpy() == 1)
        setup.contexts.splits = {**setup.contexts.splits, "one": one}
        with pytest.raises(ConfigError, match="show token 1 of token at 1, a swap needs two levels"):
            Swap(factor=sequences.Token(position=1), split="one").validate(setup)

    def test_contexts_without_labels(self):
        setup = setup_of(random_network(0), Contexts(inputs=np.ones((20, 4), np.float32)))
        with pytest.raises(DataError, match="these arrays have no label"):
            Sweep(factor=factors.Directions(), readout="kl").validate(setup)
        with pytest.raises(ConfigError, match="these arrays have no labels"):
            Ablate(factor=factors.Units(), readout="loss", place="1").validate(setup)
