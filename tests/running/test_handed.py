"""A network and contexts of a notebook, through the front door: tracked, identified, kept or said to be lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import paribus
from paribus.errors import ConfigError
from paribus.measure import Contexts
from paribus.running import handed
from paribus.subjects.handed import digest_of, read_contexts
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec

WORDS = [
    "experiment=ablate",
    "experiment.place=encoder.1",
    "factor@experiment.factor=units",
    "stats=quick",
    "device=cpu",
]


class Net(nn.Module):
    """Only unit 2 of the encoder moves the output: the truth that an ablation must find."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU())
        self.head = nn.Linear(4, 2, bias=False)
        with torch.no_grad():
            self.encoder[0].weight.copy_(torch.eye(4))
            self.head.weight.copy_(torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]]))

    def forward(self, x):
        return self.head(self.encoder(x))


@pytest.fixture(autouse=True)
def nothing_held():
    handed.models._held.clear()
    handed.contexts_handed._held.clear()


@pytest.fixture(scope="module")
def contexts():
    x = torch.rand(80, 4, generator=torch.Generator().manual_seed(0))
    label = (x[:, 2] > 0.5).long()
    return Contexts(inputs=(x,), cluster=[f"patient {k // 2}" for k in range(80)], label=label)


def test_a_module_and_contexts_are_a_tracked_run(contexts, tracked_workdir, undrawn_figures):
    net = Net().train()
    result = paribus.run(WORDS, model=net, data=contexts)
    effects = result.tables["effects"].frame.set_index("level")
    assert effects.loc["unit 2", "established"] and not effects.loc[["unit 0", "unit 1", "unit 3"], "mean_delta"].any()
    assert (result.subject, result.model) == ("arrays", "Net") and net.training
    store = open_store(TrackingSpec(), writing=False)
    run = store.get(result.run_id)
    assert (run.status, run.params["model"], run.params["data"]) == ("FINISHED", "Net", "contexts")
    kept = store.download(result.run_id, handed.WEIGHTS_FILE)
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in load_file(kept).items())
    again = read_contexts(store.download(result.run_id, handed.CONTEXTS_FILE))
    assert digest_of(again) == digest_of(contexts)
    assert result.provenance["repeat"].startswith(f"paribus.run({WORDS!r}, model=module, data=contexts)  # module: ")
    assert result.provenance["data_digest"] == digest_of(contexts)
    assert "<details><summary>table <b>effects</b>" in result._repr_html_()

    reused = paribus.run([*WORDS, "reuse=always"], model=Net(), data=contexts)
    assert reused.reused and reused.run_id == result.run_id
    other = Net()
    other.head.weight.data[1, 2] = 4.0
    assert not paribus.run([*WORDS, "reuse=always"], model=other, data=contexts).reused


def test_what_is_too_large_to_keep_is_said_where_the_run_is_repeated(contexts, workdir, monkeypatch, undrawn_figures):
    monkeypatch.setattr(handed, "KEEP_BYTES", 200)
    result = paribus.run([*WORDS, "tracking=off"], model=Net(), data=contexts)
    assert result.provenance["repeat"] == (
        "cannot be repeated from what is kept: the contexts (3.1 KiB) took more than the 200 bytes up to which objects "
        "of a notebook are kept"
    )
    assert result.provenance["handed"]["data"]["kept"] is None
    assert result.provenance["handed"]["model"]["kept"] == handed.WEIGHTS_FILE


def test_hooks_of_the_module_are_said_and_its_runs_are_never_reused(contexts, workdir, undrawn_figures):
    net = Net()
    net.head.register_forward_hook(lambda module, args, out: out + 1)
    result = paribus.run([*WORDS, "tracking=off"], model=net, data=contexts)
    assert any("(head._forward_hooks): its run is never reused" in line for line in result.diagnostics.warnings)


WRONG = {
    "no module": ({"model": "net.pt"}, [], "model: wants a torch.nn.Module, got str"),
    "no contexts": ({"data": np.zeros((3, 4))}, [], "data: wants paribus.Contexts, got ndarray"),
    "a model twice": ({"model": Net()}, ["model=mlp"], "model=mlp: an object is handed over as model; leave one"),
    "a field of a model": ({"model": Net()}, ["model.width=8"], "model.width=8: an object is handed over as model"),
    "compiled": ({"model": torch.compile(Net(), backend="eager")}, [], "model: it is compiled (torch.compile"),
    "no such place": ({"model": Net()}, ["experiment.place=encodr.1"], "did you mean 'encoder.1'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_objects_are_refused_in_one_line_and_leave_nothing(contexts, workdir, case):
    objects, words, said = WRONG[case]
    given = {"data": contexts, **objects}
    with pytest.raises(ConfigError) as caught:
        paribus.run([*WORDS, *words, "tracking=off"], **given)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not list(workdir.iterdir())
    assert not handed.models._held and not handed.contexts_handed._held


@pytest.mark.parametrize("words", ["experiment=train_classifier", "study=shortcut_digits"])
def test_training_takes_no_module(workdir, words):
    with pytest.raises(ConfigError, match="train_classifier trains a model from its start, which a function makes"):
        paribus.run([words, "tracking=off"], model=Net())
