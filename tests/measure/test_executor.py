"""The executor against naive loops: inputs, activations, both, nulls, legality, memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from paribus.engine.interventions import AblateUnits, Identity, Steer
from paribus.engine.parts import Chain
from paribus.engine.replacements import Graft
from paribus.errors import ConfigError
from paribus.experiments.recording import MemoryRecorder
from paribus.features.columns import Units
from paribus.measure import (
    ActFactor,
    ArrayCells,
    ArraySubject,
    Contexts,
    Contrasts,
    Correctness,
    Design,
    Divergence,
    Executor,
    FeatureReadout,
    InputFactor,
    LabelLogit,
    Loss,
    NullFeatures,
    Outputs,
    Readout,
    crossed,
    stack,
)
from paribus.measure import subject as subjects
from paribus.measure.nulls import NullSums
from paribus.methods.contrast import Reading, contrasted, to_baseline

N = 23


class Columns:
    """The outputs as columns."""

    size = 3

    def read(self, x, rows):
        return x[:, rows].clamp_min(0), x[:, rows]


class Shift(InputFactor):
    """Adds an amount to one column."""

    name = "shift"
    labels = ("0", "1", "2")

    def edit(self, cells: ArrayCells) -> ArrayCells:
        out = []
        for amount in (0.0, 1.0, 2.0):
            value = cells.values[0].copy()
            value[..., 1] += amount
            out.append(cells.with_value(0, value))
        return stack(out)


class Push(ActFactor):
    """Steers along the first unit."""

    name = "push"
    labels = ("0", "1")

    def __init__(self, sites=("1",)):
        self.sites = sites

    def acts(self, columns):
        return [Identity(), Steer(torch.eye(5)[0], 1.5)]


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)).eval()


@pytest.fixture
def contexts():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 4)).astype(np.float32)
    x[5] = x[9]  # one input twice
    return Contexts(inputs=torch.from_numpy(x), label=rng.integers(0, 3, N), cluster=np.arange(N) // 2)


def executor(network, contexts, **more):
    return Executor(network, ArraySubject(contexts), **more)


def outputs_of(network, x):
    with torch.no_grad():
        return network(x).double().numpy()


@pytest.mark.parametrize("batch_limit", [1, 7, 512])
def test_levels_of_the_input_equal_a_loop(network, contexts, batch_limit):
    run = executor(network, contexts, batch_limit=batch_limit)
    found = run.stream(Shift().design(), Outputs(("a", "b", "c"))).collected(N)
    x = contexts.given.tensors[0]
    for level in range(3):
        moved = x.clone()
        moved[:, 1] += level
        np.testing.assert_allclose(found.values[:, level], outputs_of(network, moved).T, atol=1e-6)
    assert found.report.strategy == "inputs"
    assert found.report.n_requested == 3 * N and found.report.n_unique == 3 * (N - 1)


def test_blocks_of_any_size_give_the_same(network, contexts, monkeypatch):
    whole = executor(network, contexts).stream(Shift().design(), Outputs()).collected(N)
    monkeypatch.setattr(subjects, "CHUNK_CELLS", 10)
    run = executor(network, contexts)
    blocks = list(run.stream(Shift().design(), Outputs()))
    assert [len(block.columns) for block in blocks] == [3] * 7 + [2]
    np.testing.assert_allclose(np.concatenate([block.values for block in blocks], axis=2), whole.values, atol=1e-6)


@pytest.mark.parametrize("site", ["1", "3", "2.input"])
def test_acts_equal_a_hook(network, contexts, site):
    width = {"1": 5, "3": 6, "2.input": 5}[site]
    acts = (Identity(), Steer(torch.eye(width)[1], 2.0), AblateUnits([0, 2]))
    design = Design(acts=acts, n_acts=3, sites=(site,))
    found = executor(network, contexts).stream(design, Outputs()).collected(N)
    module = network.get_submodule(site.split(".")[0])
    for index, act in enumerate(acts):
        if site.endswith("input"):
            handle = module.register_forward_pre_hook(lambda _, args, act=act: (act.forward(args[0]),))
        else:
            handle = module.register_forward_hook(lambda _, __, out, act=act: act.forward(out))
        expected = outputs_of(network, contexts.given.tensors[0])
        handle.remove()
        np.testing.assert_allclose(found.values[:, index], expected.T, atol=1e-5)
    assert found.report.parity_max_abs_diff < 1e-4
    assert found.report.n_requested == 3 * N and found.report.n_unique == 3 * (N - 1)


def test_inputs_and_acts_cross_level_by_level(network, contexts):
    design = crossed(Shift(), Push())
    found = executor(network, contexts).stream(design, Outputs()).collected(N)
    assert found.values.shape == (3, 6, N)
    only = executor(network, contexts).stream(Shift().design(), Outputs()).collected(N)
    np.testing.assert_allclose(found.values[:, [0, 2, 4]], only.values, atol=1e-5)
    pushed = crossed(Push(), Push())
    twice = executor(network, contexts).stream(pushed, Outputs()).collected(N).values
    chained = Design(acts=(Chain((Push().acts(0)[1], Push().acts(0)[1])),), n_acts=1, sites=("1",))
    once = executor(network, contexts).stream(chained, Outputs()).collected(N).values
    np.testing.assert_allclose(twice[:, 3], once[:, 0], atol=1e-6)
    with pytest.raises(ConfigError, match="at the same place"):
        crossed(Push(), Push(("3",)))


def test_two_inputs_crossed_hold_the_second_fastest(network, contexts):
    class Scale(InputFactor):
        name, labels = "scale", ("1", "3")

        def edit(self, cells):
            return stack([cells, cells.with_value(0, cells.values[0] * 3)])

    found = executor(network, contexts).stream(crossed(Shift(), Scale()), Outputs()).collected(N).values
    x = contexts.given.tensors[0].clone()
    x[:, 1] += 2
    np.testing.assert_allclose(found[:, 5], outputs_of(network, x * 3).T, atol=1e-5)
    np.testing.assert_allclose(found[:, 4], outputs_of(network, x).T, atol=1e-6)


def test_values_inside_are_read_where_they_stand(network, contexts):
    class Units:
        size = 5

        def read(self, x, rows):
            return x[:, rows], x[:, rows]

    found = executor(network, contexts).stream(Design(), FeatureReadout(Units(), 2, place="1")).collected(N)
    with torch.no_grad():
        expected = network[:2](contexts.given.tensors[0])[:, 2]
    np.testing.assert_allclose(found.values[0, 0], expected, atol=1e-6)


class InPlace(nn.Module):
    """What a block of a ResNet does: values are written over after they were passed."""

    def __init__(self):
        super().__init__()
        self.conv, self.act, self.head = nn.Conv1d(2, 4, 1), nn.ReLU(inplace=True), nn.Linear(4, 3)

    def forward(self, x):
        h = self.act(self.conv(x))
        h = self.conv(h[:, :2]) + 0 if x.shape[-1] == 1 else h  # with one position the module runs twice
        h += 1
        return self.head(h.mean(2))


def test_whatever_reads_a_place_reads_what_was_there_when_the_pass_came_by():
    torch.manual_seed(2)
    net, x, rows = InPlace().eval(), torch.randn(7, 2, 5), np.arange(7)
    run = executor(net, Contexts(inputs=x), batch_limit=3)
    kept = net.conv(x).detach()
    mean, first = kept.mean(2).double().numpy(), kept[:, :1].mean(2).double().numpy()
    latent = FeatureReadout(Units(4), 0, place="conv")
    found = {
        "vectors": (run.vectors("conv", rows), mean),
        "vectors_at": (run.vectors_at(("conv", "act"), rows)["conv"], mean),
        "after": (run.vectors_at(("conv", "act"), rows)["act"], kept.relu().mean(2).double().numpy()),
        "values": (run.values("conv", rows), kept),
        "values_at": (run.values_at(("conv",), rows)["conv"], kept),
        "at_positions": (run.at_positions("conv", rows), kept.movedim(1, 2).flatten(0, 1)),
        "ranges": (
            run.ranges_at(("conv",), rows, over_positions=False)["conv"],
            (kept.amax(0) - kept.amin(0)).amax(1),
        ),
        "activations": (run.activations(Units(4), np.array([0]), "conv", rows), first),
        "moments": (run.moments(run.subject.cells(rows), Units(4), np.array([0]), "conv")[1][0], first[:, 0]),
        "feature": (run.stream(Design(), latent).collected(7).values[0, 0], first[:, 0]),
        "at": (run.at("conv").vectors(run.subject.cells(rows)), mean),
    }  # fmt: skip
    for name, (got, expected) in found.items():
        np.testing.assert_allclose(got, expected, atol=1e-6, err_msg=name)
    twice = executor(net, Contexts(inputs=x[..., :1]))
    for read in (run.vectors, twice.vectors):
        with pytest.raises(
            ConfigError, match="times only" if read == run.vectors else "conv.output:1 to conv.output:2"
        ):
            read("conv:2" if read == run.vectors else "conv", rows)
    for several in (twice.vectors_at, twice.values_at):
        with pytest.raises(ConfigError, match="runs this module 2 times"):
            several(("conv",), rows)


def test_a_feature_is_read_downstream_of_an_edit(network, contexts):
    class Units:
        size = 6

        def read(self, x, rows):
            return x[:, rows], x[:, rows]

    design = Push().design()
    found = executor(network, contexts).stream(design, FeatureReadout(Units(), 4, place="3")).collected(N)
    with torch.no_grad():
        hidden = network[:2](contexts.given.tensors[0])
        hidden[:, 0] += 1.5
        expected = network[2:4](hidden)[:, 4]
    np.testing.assert_allclose(found.values[0, 1], expected, atol=1e-5)


def test_labels_count_in_what_is_distinct(network, contexts):
    label = contexts.label.copy()
    label[5], label[9] = 0, 1  # one input, two labels
    other = Contexts(inputs=contexts.inputs, label=label)
    logits = outputs_of(network, other.given.tensors[0])
    for design in (Design(), Design(acts=(Identity(),), n_acts=1, sites=("1",))):
        found = executor(network, other).stream(design, Correctness(label)).collected(N)
        np.testing.assert_array_equal(found.values[0, 0], logits.argmax(1) == label)
        loss = executor(network, other).stream(design, Loss(label)).collected(N).values[0, 0]
        shifted = logits - logits.max(1, keepdims=True)
        expected = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(N), label]
        np.testing.assert_allclose(loss, expected, atol=1e-5)


def test_divergence_is_from_the_baseline_of_the_same_context(network, contexts):
    found = executor(network, contexts).stream(Push().design(), Divergence()).collected(N).values
    raw = executor(network, contexts).stream(Push().design(), Outputs()).collected(N).values
    p = np.exp(raw) / np.exp(raw).sum(0)
    expected = (p[:, 0] * np.log(p[:, 0] / p[:, 1])).sum(0)
    np.testing.assert_allclose(found[0, 0], 0.0, atol=1e-12)
    np.testing.assert_allclose(found[0, 1], expected, atol=1e-5)


def test_null_features_come_from_the_same_passes(network, contexts):
    nulls = NullFeatures(np.array([1, 2]), np.array([2.0, 0.5]))
    weights = np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    support = np.ones((2, N), bool)
    support[1, :4] = False
    run = executor(network, contexts)
    readout = FeatureReadout(Columns(), 0, nulls=nulls)
    found = run.stream(Shift().design(), readout, contrasts=Contrasts(weights, support)).collected(N)
    each = [
        executor(network, contexts).stream(Shift().design(), FeatureReadout(Columns(), row)).collected(N).values[0]
        for row in (1, 2)
    ]
    for row, keep in enumerate(support):
        for place, scale in enumerate(nulls.scale):
            effect = (each[place][row + 1] - each[place][0])[keep].mean() * scale
            assert found.null[row, place] == pytest.approx(effect, abs=1e-6)
    with pytest.raises(ConfigError, match="measure them as conditions"):
        run.stream(Push().design(), readout, contrasts=Contrasts(np.array([[-1.0, 1.0]])))


def test_cells_taken_out_stay_empty(network, contexts):
    class Picky(ArraySubject):
        def enforce(self, cells, watch=None):
            return cells.only(cells.values[0][..., 1] < 1.0)

    run = Executor(network, Picky(contexts))
    ok = run.feasible(Shift().design())
    for design in (Shift().design(), crossed(Shift(), Push())):
        found = run.stream(design, Outputs()).collected(N).values
        expected = np.repeat(ok, design.n_conditions // 3, axis=0)
        np.testing.assert_array_equal(np.isfinite(found[0]), expected)
    assert 0 < ok.sum() < ok.size


def test_rows_have_acts_of_their_own(network, contexts):
    values = torch.arange(float(N))[:, None]

    def acts(columns):
        return [Identity(), Graft([3], values[columns])]

    design = Design(acts=acts, n_acts=2, sites=("1",))
    found = executor(network, contexts).stream(design, Outputs()).collected(N).values
    with torch.no_grad():
        hidden = network[:2](contexts.given.tensors[0])
        hidden[:, 3] = values[:, 0]
        expected = network[2:](hidden)
    np.testing.assert_allclose(found[:, 1], expected.T, atol=1e-4)


def test_rows_keep_their_own_acts_where_others_are_taken_out(network, contexts):
    """A patch beside a level of the input that is not legal in all contexts of a block."""
    values = torch.arange(float(N))[:, None]
    gone = np.arange(0, N, 3)

    def edit(cells):
        return stack([cells, cells.only(~np.isin(cells.ctx, gone))])

    design = Design(edit, 2, acts=lambda columns: [Identity(), Graft([3], values[columns])], n_acts=2, sites=("1",))
    found = executor(network, contexts).stream(design, Outputs()).collected(N).values
    with torch.no_grad():
        hidden = network[:2](contexts.given.tensors[0])
        hidden[:, 3] = values[:, 0]
        expected = network[2:](hidden).T.numpy().copy()
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-4)
    expected[:, gone] = np.nan
    np.testing.assert_allclose(found[:, 3], expected, atol=1e-4)


class Broken(nn.Module):
    """Gives no finite number for some contexts."""

    def __init__(self, network, odd, gives):
        super().__init__()
        self.net, self.odd, self.gives = network, odd, gives

    def forward(self, x):
        wrong = (x[:, None] == self.odd).all(2).any(1)
        return torch.where(wrong[:, None], self.gives, self.net(x))


@pytest.mark.parametrize("gives", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("read", [Correctness, LabelLogit, Loss, Divergence])
def test_contexts_without_a_finite_number_are_left_out_and_counted(network, contexts, gives, read):
    """NaN counted as the first class, and one infinite output made all effects rounding, and so 0."""
    x, label, odd = contexts.given.tensors[0], np.arange(N) % 3, np.array([2, 6])
    readout, watch = read() if read is Divergence else read(label), MemoryRecorder()
    design = Design(acts=(Identity(), AblateUnits([0, 1])), n_acts=2, sites=("net.1",))
    given = ArraySubject(Contexts(inputs=x, label=label))

    def effect(rows, odd, **more):
        run = Executor(Broken(network, odd, gives), given)
        return contrasted(Reading(run, readout, rows, **more), design, to_baseline(2), np.random.default_rng(0))

    found, expected = effect(np.arange(N), x[odd], watch=watch), effect(np.setdiff1d(np.arange(N), odd), x[:0])
    assert found.sums.n.tolist() == [N - 2] and found.sums.means == pytest.approx(expected.sums.means, rel=1e-4)
    assert found.sums.means[0] != 0 or read is Correctness
    assert [one.split(" the network")[0] for one in watch.diagnostics.warnings] == [f"In 2 of {N} contexts"]


def test_a_measurement_leaves_the_network_as_it_was(network, contexts):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    run = executor(network, contexts)
    run.stream(crossed(Shift(), Push()), Outputs()).collected(N)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_half_formats_are_close(network, contexts):
    exact = executor(network, contexts).stream(Shift().design(), Outputs()).collected(N).values
    half = executor(network, contexts, dtype="bfloat16").stream(Shift().design(), Outputs()).collected(N).values
    assert 0 < np.abs(half - exact).max() < 0.1


@pytest.mark.parametrize(
    ("dtype", "rounding", "spacing"),
    [("float32", 64 * 2**-23, 0), ("float64", 64 * 2**-52, 0), ("bfloat16", 64 * 2**-23, 2**-7)],
)
def test_what_counts_as_rounding_is_that_of_the_number_format(dtype, rounding, spacing):
    executor = Executor(nn.Linear(2, 1), ArraySubject(Contexts(torch.zeros(2, 2))), dtype=dtype)
    assert (executor.rounding, executor.spacing) == (rounding, spacing)


@pytest.mark.parametrize("readout", [Loss(np.arange(N) % 3), Divergence(), Correctness(np.arange(N) % 3)])
def test_readouts_of_edits_keep_double_precision(network, contexts, readout):
    design = Design(acts=(Identity(), Steer(torch.ones(5), 0.5)), n_acts=2, sites=("1",))
    single, double = (
        executor(network, contexts, dtype=dtype).stream(design, readout).collected(N).values
        for dtype in ("float32", "float64")
    )
    np.testing.assert_allclose(double, single, atol=1e-5)
    digits = double[double != 0]
    assert readout.names == ("correct",) or (digits.astype(np.float32) != digits).any()


def test_in_a_half_format_small_effects_are_told_as_uncertain_not_as_zero(network, contexts):
    """A loss of 0.7 nats has steps of 0.005 there; effects of 0.001 are means over many roundings, and not 0."""
    design = Design(acts=(Identity(), Steer(torch.ones(5), 0.002)), n_acts=2, sites=("1",))
    readout = Loss(np.zeros(N, np.int64))
    found, said = {}, []
    for dtype in ("float32", "bfloat16"):
        run = executor(network, contexts, dtype=dtype)
        rng = np.random.default_rng(0)
        recorder = MemoryRecorder()
        found[dtype] = contrasted(Reading(run, readout, np.arange(N), recorder), design, to_baseline(2), rng)
        said.append(recorder.diagnostics.warnings)
    exact, half = (found[dtype].sums for dtype in found)
    assert 0 < abs(float(exact.means[0])) < 2**-7 * 0.5
    assert half.sd[0] > 0
    assert not said[0] and "1 of 1 rows" in said[1][0] and "bfloat16" in said[1][0]


def test_a_readout_is_computed_in_single_precision_in_a_half_format(network, contexts):
    """Its own products are not the network's: under autocast they would be rounded to three digits."""

    class Read(Readout):
        def read(self, x, ctx):
            self.format = (x @ torch.ones(x.shape[1], 1)).dtype
            return x[:, 0][None], None

    readout = Read()
    design = Design(acts=(Identity(), Steer(torch.ones(5), 0.1)), n_acts=2, sites=("1",))
    executor(network, contexts, dtype="bfloat16").stream(design, readout).collected(N)
    assert readout.format == torch.float32


def test_means_of_null_features_that_cancel_but_for_rounding_are_zero():
    nulls = NullFeatures(np.arange(2), np.ones(2))
    sums = NullSums(Contrasts(np.array([[-1.0, 1.0]])), nulls)
    weights = sums.weights(np.arange(4), 4, np.ones((2, 2), bool), np.arange(2))
    third = 1 / 3 + 1e-9
    sums.add(weights, np.array([[1 / 3, 0.0], [1 / 3, 0.0], [third, 0.25], [third, 0.25]]), slice(0, 4))
    sums.commit()
    assert sums.means().tolist() == [[0.0, 0.25]]
