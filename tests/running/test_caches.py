from __future__ import annotations

from dataclasses import replace

import pytest

from paribus.experiments import plugins
from paribus.running import caches
from paribus.running.contents import fingerprint
from paribus.running.setup import asked
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.statink import BuildsStatink
from paribus.subjects.images.digits_scanners import DigitsScanners
from paribus.tracking.interface import FileStore
from paribus.tracking.spec import TrackingSpec


@pytest.fixture(autouse=True)
def empty():
    caches.clear()
    yield
    caches.clear()


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        (BuildsGenerated(n_builds=30), {"n_builds": 31}),
        (BuildsGenerated(n_builds=30), {"seed": 1}),
        (BuildsGenerated(n_builds=30), {"confounding": 0.1}),
        (DigitsScanners(), {"strength": 0.5}),
        (DigitsScanners(), {"seed": 1}),
    ],
)
def test_other_parameters_are_another_data_set(spec, change):
    assert fingerprint(spec) != fingerprint(replace(spec, **change))
    assert fingerprint(spec) == fingerprint(replace(spec))


def test_a_file_is_known_by_its_content_and_by_how_it_is_read(tmp_path):
    first, moved = tmp_path / "a.csv", tmp_path / "b.csv"
    for file in (first, moved):
        file.write_text("x,y\n1,2\n")
    spec = BuildsStatink(path=str(first))
    assert fingerprint(spec) == fingerprint(replace(spec, path=str(moved)))
    moved.write_text("x,y\n1,3\n")
    assert fingerprint(spec) != fingerprint(replace(spec, path=str(moved)))


def test_jobs_of_one_process_with_other_data_get_other_data():
    small, large = BuildsGenerated(n_builds=30), BuildsGenerated(n_builds=60)
    first = caches.load_data(small)
    assert caches.load_data(replace(small)) is first
    assert len(caches.load_data(large).contexts) > len(first.contexts)


# Models and features --------------------------------------------------------------------------------------------------


def resolved(experiment, **nodes):
    from paribus.engine.device import DeviceSpec
    from paribus.running.request import Request
    from paribus.running.resolved import Resolved
    from paribus.stats.spec import StatsSpec

    stats = StatsSpec(n_bootstrap=100, n_permutations=99, n_null=4)
    given = {"device": DeviceSpec(name="cpu"), "stats": stats, "tracking": TrackingSpec(kind="off"), **nodes}
    return asked(Resolved(Request(experiment, given, {}, (), {}, 0, "peak_val", "auto"), None), FileStore())


def test_weights_replaced_in_place_are_loaded_anew(tmp_path):
    import os

    import torch

    from paribus.experiments.builds import plugin as builds
    from paribus.experiments.builds.binary_presence_effect import BinaryPresenceEffect
    from paribus.subjects.builds.models._set_completion import network
    from paribus.subjects.builds.models.set_completion import SetCompletionSmall

    data = BuildsGenerated(n_builds=30)
    spec = SetCompletionSmall(weights=str(tmp_path / "weights.pt"))
    corpus = caches.load_data(data)
    sizes = (len(corpus.vocabulary.tokens), len(corpus.weapons.weapons))
    expected = []
    for seed in range(2):
        state = network(spec, *sizes, torch.Generator().manual_seed(seed)).state_dict()
        torch.save(state, tmp_path / "new.pt")
        os.replace(tmp_path / "new.pt", spec.weights)
        expected.append(state["output_layer.weight"])
        wanted = resolved(BinaryPresenceEffect(), data=data, model=spec)
        model = builds.set_model(wanted, builds.load(wanted))
        assert torch.equal(model.network.output_layer.weight, expected[-1])
    assert not torch.equal(*expected)


def test_another_kit_table_is_another_model_that_reads_it(tmp_path):
    """The planted model knows the specials of the weapons, which come from the data's kits."""
    from paribus.experiments.builds import plugin as builds
    from paribus.experiments.builds.binary_presence_effect import BinaryPresenceEffect
    from paribus.subjects.builds.models.planted import Planted

    class Kits:
        def __init__(self, corpus, special):
            self.vocabulary = corpus.vocabulary
            kits = tuple(replace(weapon, special=special) for weapon in corpus.weapons.weapons)
            self.weapons = replace(corpus.weapons, kits=kits)

    corpus = caches.load_data(BuildsGenerated(n_builds=30))
    wanted = resolved(BinaryPresenceEffect(), model=Planted())
    made = [builds.set_model(wanted, Kits(corpus, special)) for special in ("one", "two", "one")]
    assert made[0] is not made[1] and made[0] is made[2]


NETWORK = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self, power):
        super().__init__()
        self.power = power
        self.inner = nn.Linear(3 * 16 * 16, 4)
        self.act = nn.Identity()
        self.fc = nn.Linear(4, 2)
    def forward(self, x):
        return self.fc(self.act(self.inner(x.flatten(1)) ** self.power))
def build(power):
    return Net(power)
"""


def test_equal_weights_in_another_network_share_no_features(own):
    import numpy as np
    import torch

    from paribus.config.check import build
    from paribus.experiments.shortcut.subspace_ablation import SubspaceAblation

    own("own_net").write("net", NETWORK)
    data = DigitsScanners(n_train=60, n_eval=24, eval_renderings=1)
    for power in (1, 2):
        node = build({"_target_": "own_net.net.build", "power": power}, "model")
        setup = plugins.named("images").setup(resolved(SubspaceAblation(), data=data, model=node))
        (checkpoint,) = setup.selected()
        model, cells = setup.executor(checkpoint).network, setup.contexts.cells(np.arange(5))
        found = setup.executor(checkpoint).at("act").vectors(cells)
        shown = setup.contexts.inputs(cells).tensors[0]
        with torch.no_grad():
            assert np.allclose(found, (model.inner(shown.flatten(1)) ** power).numpy(), atol=1e-6)


def image_types():
    from paribus.config import catalogue

    found = [option.load() for option in catalogue.options("experiment")]
    return [cls for cls in found if cls.subject == "images" and cls.takes_dtype]


@pytest.mark.parametrize("kind", image_types(), ids=lambda kind: kind.type)
def test_image_experiments_run_in_the_number_format_that_is_asked_for(kind, monkeypatch):
    from paribus.engine import evaluation
    from paribus.engine.device import DeviceSpec
    from paribus.experiments.base import perform
    from paribus.experiments.recording import MemoryRecorder
    from paribus.models.small_cnn import SmallCNN

    seen = []
    original = evaluation.Engine.__init__

    def watched(self, *args, **given):
        original(self, *args, **given)
        seen.append(str(self._dtype))

    monkeypatch.setattr(evaluation.Engine, "__init__", watched)
    data = DigitsScanners(n_train=60, n_eval=40, eval_renderings=1)
    numbers = {}
    for dtype in ("float32", "float64"):
        seen.clear()
        wanted = resolved(kind(), data=data, model=SmallCNN(width=2), device=DeviceSpec(name="cpu", dtype=dtype))
        result = perform(kind(), plugins.named("images").setup(wanted), MemoryRecorder())
        assert set(seen) == {f"torch.{dtype}"}
        numbers[dtype] = [
            frame[name].to_numpy(dtype=float)
            for frame in (table.frame for table in result.tables.values())
            for name in frame.select_dtypes("float").columns
        ]
    import numpy as np

    pairs = list(zip(*numbers.values(), strict=True))
    moved = any(not np.array_equal(a, b, equal_nan=True) for a, b in pairs)
    assert moved or kind.type == "probe_trajectory", "its accuracies are shares of rows, which a rounding does not move"


def test_experiments_on_sets_run_in_the_number_format_that_is_asked_for():
    import torch

    from paribus.engine.device import DeviceSpec
    from paribus.experiments.builds import plugin as builds
    from paribus.experiments.builds.binary_presence_effect import BinaryPresenceEffect
    from paribus.features.unit import Unit
    from paribus.subjects.builds.models.set_completion import SetCompletionSmall

    data, model, kept = BuildsGenerated(n_builds=30), SetCompletionSmall(), {}
    for dtype in ("float64", "float32"):
        device = DeviceSpec(name="cpu", dtype=dtype)
        wanted = resolved(BinaryPresenceEffect(), data=data, model=model, feature=Unit(), device=device)
        setup = builds.BUILDS.setup(wanted)
        x, _ = setup.vectors(setup.contexts.states())
        assert setup.model.network.output_layer.weight.dtype is getattr(torch, dtype)
        kept[dtype] = setup.corpus_measured.z, x
    for wide, single in zip(kept["float64"], kept["float32"], strict=True):
        assert (wide != single).any() and abs(wide - single).max() < 1e-4


def test_what_was_made_from_a_file_that_was_put_back_is_made_again(tmp_path):
    file, kept = tmp_path / "a.txt", caches.Latest(2)
    file.write_text("same")
    loads = []

    def make():
        loads.append(file.read_bytes())
        return len(loads)

    assert [kept.get("a", make) for _ in range(2)] == [1, 1]
    file.unlink()
    file.write_text("same")  # equal content, another file: what a run says it read must be there when it ends
    assert [kept.get("a", make) for _ in range(2)] == [2, 2]


# Code that changes what it shares -------------------------------------------------------------------------------------

SPOILS = """
from dataclasses import dataclass
from paribus.spec import field
from paribus_toy import Measure
@dataclass(frozen=True)
class Spoils(Measure):
    type = "own_spoils"
    added: float = field(1.0, help="Added in place.")
    fails: bool = field(False, help="Fails then.")
    def run(self, setup, recorder):
        setup.data[3] += self.added
        if self.fails:
            raise ValueError("fails for another reason")
        return super().run(setup, recorder)
"""


@pytest.mark.parametrize("fails", [False, True])
def test_data_that_own_code_changed_in_place_are_loaded_anew_for_the_next_job(fails, own, store, job):
    import paribus_toy

    from paribus.errors import ExperimentError
    from paribus.running.run import run_job

    own("own_spoils").write("it", SPOILS)
    with pytest.raises(ExperimentError, match="another reason" if fails else "in place"):
        run_job(job({"_target_": "own_spoils.it.Spoils", "fails": fails}))
    assert run_job(job("Measure")).aggregates.mean_delta == paribus_toy.ToyData(0).load().mean()


def test_of_what_is_kept_only_what_a_run_uses_is_looked_at(own, store, job, monkeypatch):
    from paribus.running import stamps
    from paribus.running.run import run_job

    caches.data_sets.get("of another job", lambda: __import__("numpy").zeros(100))
    seen, parts = [], stamps._parts
    monkeypatch.setattr(
        stamps, "_parts", lambda value: ((seen.append(part.shape), (name, part))[1] for name, part in parts(value))
    )
    own("own_spoils").write("it", SPOILS)
    run_job(job({"_target_": "own_spoils.it.Spoils", "added": 0.0}))
    assert seen == [(10,), (10,)], "once before and once after"


def test_what_a_run_takes_only_while_it_works_is_looked_at():
    import numpy as np

    from paribus.errors import ExperimentError

    def make():
        return np.zeros(3)

    caches.data_sets.get("kept", make)
    for key in ("kept", "made"):
        with caches.using() as used, pytest.raises(ExperimentError, match="in place"), used.unchanged():
            caches.data_sets.get(key, make)[0] = 1
        assert "kept" not in caches.data_sets.values()
    with caches.using() as used, used.unchanged():
        caches.data_sets.get("kept", make)
    caches.data_sets.get("kept", make)[0] = 1
    with caches.using() as used, used.unchanged():
        caches.data_sets.get("kept", make)
