"""The engine: what it keeps, bounds, notices and refuses."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from paribus.engine import evaluation, streaming
from paribus.engine.cache import FeatureCache
from paribus.engine.evaluation import Engine
from paribus.engine.interventions import AblateUnits, Identity, ProjectOut, Steer
from paribus.engine.replacements import Resample, SetFeature
from paribus.errors import ConfigError, DataError, ExperimentError


class Net(nn.Module):
    """A small network that counts the rows its first layer sees and can run out of memory."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3)
        self.bend = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(6, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, 3)
        self.rows_seen: list[int] = []
        self.fits = 10**9
        self.first.register_forward_pre_hook(self._count)

    def _count(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        if len(args[0]) > self.fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        self.rows_seen.append(len(args[0]))

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        skip = h
        h = self.norm(self.second(self.bend(h)))
        h = h + skip[:, :, 1:-1, 1:-1]
        return self.fc(torch.flatten(self.pool(torch.relu(h)), 1))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(20, 3, 7, 7, generator=torch.Generator().manual_seed(1))


def some(width: int = 6) -> list:
    generator = np.random.default_rng(2)
    bases = [np.linalg.qr(generator.standard_normal((width, 2)))[0] for _ in range(5)]
    center = generator.standard_normal(width)
    donors = generator.permutation(20)
    return [
        Identity(),
        *(ProjectOut(basis, center) for basis in bases),
        *(Steer(center, alpha) for alpha in (-1.0, 0.0, 2.0)),
        AblateUnits([0, 2]),
        Resample([1], donors),
        SetFeature(center, 0.1, center[::-1].copy(), 1.0),
    ]


def close(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * max(1.0, float(np.abs(b).max())))


# ------------------------------------------------------------------ what is kept


@pytest.mark.parametrize("site", ["pool", "second"])
def test_the_prefix_runs_once(net, x, site):
    engine = Engine(net, site, batch_limit=8)
    engine.plan(x)
    net.rows_seen.clear()
    engine.features(x)
    assert sum(net.rows_seen) == 20
    net.rows_seen.clear()
    engine.evaluate(x, some())
    engine.evaluate(x, some())
    engine.logits(x)
    engine.pooled(x)
    # Only the two parity checks run the network from its inputs.
    n_kinds = len({type(one) for one in some()})
    assert sum(net.rows_seen) <= 2 * evaluation.PARITY_ROWS[0] * n_kinds


def test_engines_of_one_key_share_values_and_others_do_not(net, x):
    cache = FeatureCache()
    Engine(net, "second", cache=cache, key="a").features(x)
    assert len(cache) == 1
    again = Engine(net, "second", cache=cache, key="a")
    again.plan(x)
    net.rows_seen.clear()
    again.features(x.clone())
    assert net.rows_seen == []
    Engine(net, "second", cache=cache, key="b").features(x)
    Engine(net, "first", cache=cache, key="a").features(x)
    again.features(x + 1)
    assert len(cache) == 4


def test_the_shared_cache_is_used_only_with_a_key(net, x):
    shared = FeatureCache.shared()
    shared.clear()
    Engine(net, "second").features(x)
    assert len(shared) == 0
    Engine(net, "second", key="k").features(x)
    assert len(shared) == 1
    shared.clear()


def test_kept_values_are_not_written_to(net, x):
    for site in ("first", "second", "norm"):
        engine = Engine(net, site)
        before = engine.features(x).clone()
        first = engine.evaluate(x, some()).outputs
        assert torch.equal(engine.features(x), before)
        np.testing.assert_array_equal(engine.evaluate(x, some()).outputs, first)


def test_a_small_cache_bounds_memory_and_changes_nothing(net, x):
    whole = Engine(net, "second").evaluate(x, some())
    cache = FeatureCache(4000)
    blocked = Engine(net, "second", cache=cache, batch_limit=3)
    assert len(blocked._values.blocks(blocked.plan(x), 20)) > 4
    close(blocked.evaluate(x, some()).outputs, whole.outputs)
    assert cache.held_bytes <= 4000
    close(blocked.features(x).numpy(), Engine(net, "second").features(x).numpy())
    pooled = Engine(net, "pool", cache=FeatureCache(100), batch_limit=3)
    assert pooled.evaluate(x, some()).report.strategy == "closed_form"
    close(pooled.evaluate(x, some()).outputs, Engine(net, "pool", strategy="hooks").evaluate(x, some()).outputs)


def test_reduce_holds_few_outputs_at_once(net, x, monkeypatch):
    sizes: list[int] = []
    for name in ("_pulled_back", "_one_by_one"):
        plain = getattr(streaming.OutputStream, name)

        def watched(self, plan, inputs, interventions, plain=plain):
            sizes.append(len(interventions))
            return plain(self, plan, inputs, interventions)

        monkeypatch.setattr(streaming.OutputStream, name, watched)
    monkeypatch.setattr(streaming, "OUTPUT_BUDGET", 2 * 20 * 3 * 4)
    for site in ("pool", "second"):
        engine = Engine(net, site)
        sizes.clear()
        found = engine.evaluate(x, some())
        assert max(sizes) == 2
        assert sum(sizes) == len(some())
        close(found.outputs, Engine(net, site, strategy="hooks").evaluate(x, some()).outputs)


# ------------------------------------------------------------------ what is noticed


def test_changed_weights_are_noticed(net, x):
    engine, keyed = Engine(net, "second"), Engine(net, "second", cache=FeatureCache(), key="epoch 3")
    before = engine.logits(x)
    keyed.logits(x)
    with torch.no_grad():
        net.norm.running_mean += 1.0  # folded into the suffix's convolution
        net.first.weight *= 2.0
    net.eval()
    with torch.no_grad():
        expected = net(x).numpy()
    close(engine.logits(x), expected)
    assert np.abs(expected - before).max() > 0.01
    with pytest.raises(ExperimentError, match="epoch 3"):
        keyed.logits(x)


@pytest.mark.parametrize("site", ["pool", "second"])
@pytest.mark.parametrize("strategy", [None, "hooks"])
def test_out_of_memory_halves_the_batch_and_goes_on(net, x, site, strategy, caplog):
    expected = Engine(net, site).evaluate(x, some()).outputs
    net.fits = 12
    engine = Engine(net, site, batch_limit=16, strategy=strategy)
    with caplog.at_level(logging.WARNING):
        close(engine.evaluate(x, some()).outputs, expected)
    assert "out of memory" in caplog.text
    assert engine._batches.limit <= 8


class Moody(nn.Module):
    """Does something else once ``mood`` is set: what was traced before is wrong then."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)
        self.mood = False

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        return self.b(-h if self.mood else h)


def test_a_failed_parity_check_falls_back_to_hooks(caplog):
    model, x = Moody(), torch.randn(9, 4)
    engine = Engine(model, "a")
    assert engine.plan(x).strategy == "closed_form"
    model.mood = True
    with caplog.at_level(logging.WARNING), torch.no_grad():
        expected = model.b(-(model.a(x) + 1.0)).numpy()
        found = engine.evaluate(x, [Steer(torch.ones(4), 1.0)])
    close(found.outputs[0], expected)
    assert found.report.strategy == "hooks"
    assert found.report.parity_max_abs_diff < 1e-5
    assert "using hooks" in caplog.text


def test_the_parity_difference_is_measured(monkeypatch):
    model, x = Moody(), torch.randn(9, 4)
    engine = Engine(model, "a")
    honest = streaming.OutputStream._pulled_back
    monkeypatch.setattr(streaming.OutputStream, "_pulled_back", lambda *given: honest(*given) + 3e-5)
    report = engine.evaluate(x, [Identity()]).report
    assert report.strategy == "closed_form"
    assert report.parity_max_abs_diff == pytest.approx(3e-5, rel=0.1)


# ------------------------------------------------------------------ what comes out


def test_shapes_and_types(net, x):
    engine = Engine(net, "second")
    assert engine.features(x).shape == (20, 6, 3, 3)
    pooled = engine.pooled(x)
    assert pooled.shape == (20, 6)
    close(pooled, engine.features(x).mean((2, 3)).numpy())
    assert engine.logits(x).shape == (20, 3)
    result = engine.evaluate(x, some())
    assert result.outputs.shape == (len(some()), 20, 3)
    assert result.outputs.dtype == np.float32
    assert engine.evaluate(x.numpy(), some()).outputs.shape == result.outputs.shape
    assert engine.evaluate(x[:1], [Identity()]).outputs.shape == (1, 1, 3)


def test_the_linear_map_is_the_head(net, x):
    engine = Engine(net, "pool")
    head = engine.plan(x).closed.linear
    torch.testing.assert_close(head.weight, net.fc.weight.detach())
    torch.testing.assert_close(head.bias, net.fc.bias.detach())
    close(engine.pooled(x) @ head.weight.numpy().T + head.bias.numpy(), engine.logits(x))
    assert Engine(net, "second").plan(x).closed is None


def test_positions_that_weigh_differently_have_a_closed_form_but_no_linear_map():
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(12, 2))
    x = torch.randn(20, 2, 2, 2)
    engine = Engine(model, "0")
    found = engine.evaluate(x, some(3))
    assert found.report.strategy == "closed_form"
    assert engine.plan(x).closed.linear is None
    close(found.outputs, Engine(model, "0", strategy="hooks").evaluate(x, some(3)).outputs)


def test_bfloat16_is_opt_in_and_near(net, x):
    exact = Engine(net, "second").evaluate(x, some())
    half = Engine(net, "second", dtype="bfloat16").evaluate(x, some())
    assert half.outputs.dtype == np.float32
    assert Engine(net, "second", dtype="bfloat16").features(x).dtype == torch.float32
    gap = np.abs(half.outputs - exact.outputs).max()
    assert 0 < gap < 0.1 * max(1.0, np.abs(exact.outputs).max())


def test_inputs_of_another_shape_get_a_plan_of_their_own(net, x):
    engine = Engine(net, "pool")
    engine.features(x)
    large = torch.randn(5, 3, 11, 11)
    net.eval()
    with torch.no_grad():
        close(engine.logits(large), net(large).numpy())
    assert engine.features(large).shape == (5, 6, 1, 1)


def test_zeros_and_infinities_survive():
    class Log(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return torch.log(torch.relu(self.a(x)))

    x = torch.tensor([[0.0, 1.0], [2.0, -1.0], [3.0, 4.0]])
    found = Engine(Log(), "a").evaluate(x, [AblateUnits([0])])
    assert found.report.parity_max_abs_diff == 0.0
    assert np.isneginf(found.outputs[0, :, 0]).all()


# ------------------------------------------------------------------ what is refused


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.unused, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.lstm = nn.LSTM(4, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        self.lstm(x[:, None])
        return self.out(self.a(self.a(x)))


@pytest.mark.parametrize(
    ("site", "words"),
    [("a", "runs this module 2 times"), ("unused", "does not run this module"), ("ot", "did you mean 'out'")],
)
def test_unfit_sites_are_refused(site, words):
    with pytest.raises(ConfigError, match=words):
        Engine(Odd(), site).features(torch.randn(5, 4))


def test_a_tuple_at_the_site_means_its_first_element():
    class First(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.out = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.attention(x, x, x)[0].mean(1))

    model, x = First(), torch.randn(20, 3, 4)
    engine = Engine(model, "attention")
    assert engine.features(x).shape == (20, 4, 3)
    found = engine.evaluate(x, some(4))
    close(found.outputs, Engine(model, "attention", strategy="hooks").evaluate(x, some(4)).outputs)
    close(found.outputs[0], model.eval()(x).detach().numpy())


class Several(nn.Module):
    """Returns what it is told to: a mapping, a tuple or something else."""

    def __init__(self, pack) -> None:
        super().__init__()
        self.pack = pack
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor):
        hidden = torch.tanh(self.a(x))
        return self.pack(self.b(hidden), hidden)


@pytest.mark.parametrize(
    "pack",
    [
        lambda out, hidden: {"hidden": hidden, "logits": out},
        lambda out, hidden: {"scores": out},
        lambda out, hidden: (out,),
        lambda out, hidden: [None, out],
    ],
)
def test_the_output_is_the_tensor_called_logits_or_the_only_one(pack):
    x = torch.randn(20, 4)
    model = Several(pack)
    found = Engine(model, "a").evaluate(x, some(4))
    close(found.outputs[0], model.b(torch.tanh(model.a(x))).detach().numpy())
    assert found.report.strategy == "suffix"
    assert found.outputs.shape == (len(some(4)), 20, 2)


@pytest.mark.parametrize(
    ("pack", "words"),
    [
        (lambda out, hidden: {"hidden": hidden, "scores": out}, "returns a dict with 2 tensors; wrap it"),
        (lambda out, hidden: (out, hidden), "returns a tuple with 2 tensors"),
        (lambda out, hidden: "logits", "returns a str"),
    ],
)
def test_an_output_that_is_not_clear_must_be_named(pack, words):
    x = torch.randn(20, 4)
    with pytest.raises(ConfigError, match=words):
        Engine(Several(pack), "a").logits(x)


def test_a_function_names_the_tensor_that_counts():
    x = torch.randn(20, 4)
    model = Several(lambda out, hidden: (out, hidden))
    found = Engine(model, "a", tensor_of=lambda output: output[1]).logits(x)
    close(found, torch.tanh(model.a(x)).detach().numpy())


def test_examples_must_come_first():
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x.transpose(0, 1)).mean(0)

    with pytest.raises(ConfigError, match="axis 0 must hold the examples"):
        Engine(Turned(), "a").features(torch.randn(5, 7, 4))


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (lambda: ProjectOut(np.eye(5)[:, :1], np.zeros(5)), "5 entries; the site has 6"),
        (lambda: Steer(np.zeros(7), 1.0), "7 entries"),
        (lambda: AblateUnits([6]), "0..5"),
        (lambda: AblateUnits([-1]), "0..5"),
        (lambda: Resample([0], [0, 1]), "2 rows; there are 20"),
        (lambda: Resample([0], [20] * 20), "0..19"),
        (lambda: ProjectOut(np.ones((6, 2)), np.zeros(6)), "orthonormal"),
        (lambda: ProjectOut(np.full((6, 1), np.nan), np.zeros(6)), "orthonormal"),
    ],
)
def test_unfit_interventions_are_refused(net, x, one, words):
    with pytest.raises(ExperimentError, match=words):
        Engine(net, "pool").evaluate(x, [one()])


def test_unfit_requests_are_refused(net, x):
    engine = Engine(net, "pool")
    with pytest.raises(DataError, match="no rows"):
        engine.features(x[:0])
    with pytest.raises(DataError, match="equally many rows"):
        engine.features((x, x[:3]))
    with pytest.raises(ExperimentError, match="no interventions"):
        engine.evaluate(x, [])
    with pytest.raises(ConfigError, match="did you mean 'float32'"):
        Engine(net, "pool", dtype="float3")
    with pytest.raises(ConfigError, match="cannot be evaluated by closed_form"):
        Engine(net, "second", strategy="closed_form").features(x)
