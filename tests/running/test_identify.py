"""What a request is known by, where its model comes from a run."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest

from paribus.config.check import build
from paribus.engine.device import DeviceSpec
from paribus.errors import CheckpointError, ConfigError
from paribus.experiments.shortcut.subspace_ablation import SubspaceAblation
from paribus.models.small_cnn import SmallCNN
from paribus.running.identify import identified, identify
from paribus.running.kept_models import from_run
from paribus.running.request import Request
from paribus.running.resolved import Resolved
from paribus.running.run import run_job
from paribus.running.source import ModelSource
from paribus.stats.spec import StatsSpec
from paribus.subjects.images.digits_scanners import DigitsScanners


def taken(architecture, read=""):
    """Return a request on a trained model of this architecture."""
    source = ModelSource(
        identity="1234",
        run_id="ab",
        architecture=architecture,
        training=None,
        data=None,
        seed=0,
        history=None,
        best={},
        names=(),
        locate=lambda name: None,
        read=read,
    )
    nodes = {"data": DigitsScanners(), "model": architecture, "device": DeviceSpec(), "stats": StatsSpec()}
    return Resolved(Request(SubspaceAblation(), nodes, {}, (), {}, 0, "final", "auto"), source)


def test_the_code_that_a_trained_model_runs_in_counts_as_it_is_now(own):
    made = own("own_net")
    made.write("net", "def forward(x):\n    return x\ndef build():\n    return forward\n")
    node = {"_target_": "own_net.net.build"}
    first = identify(taken(build(node, "model")))
    made.change("net.py", "return x", "return 2 * x")
    made.anew()
    assert identify(taken(build(node, "model"))) != first


def test_the_file_a_training_started_from_decides_nothing_once_it_is_done(tmp_path):
    assert identify(taken(SmallCNN(weights=str(tmp_path / "gone.pt")))) == identify(taken(SmallCNN()))
    assert identify(taken(SmallCNN())) != identify(taken(SmallCNN(), read="x"))
    assert identify(taken(SmallCNN())) != identify(taken(SmallCNN(width=8)))


def test_what_the_identity_covers_is_named(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"1")
    asked = replace(taken(SmallCNN(weights=str(tmp_path / "w.pt"))), source=None)
    found = identified(asked)
    assert found.identity == identify(asked)
    assert {name: file.path for name, file in found.files.items()} == {"model.weights": tmp_path / "w.pt"}


def test_a_checkpoint_that_was_changed_after_its_training_is_refused(store, job, tmp_path):
    trained = run_job(job("Train"), output_dir=tmp_path / "out")
    (kept,) = store.runs()
    source = from_run(store, kept)
    source.state("checkpoint_e00002")
    path = store.download(trained.run_id, "checkpoints/checkpoint_e00002.pt")
    other = store.download(trained.run_id, "checkpoints/checkpoint_e00001.pt")
    shutil.copy(other, tmp_path / "new.pt")
    os.replace(tmp_path / "new.pt", path)
    with pytest.raises(CheckpointError, match="was changed after the training run finished"):
        from_run(store, kept).state("checkpoint_e00002")


def test_another_default_format_of_torch_is_refused(store, job):
    import torch

    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(ConfigError, match="device.dtype"):
            run_job(job("Measure"))
    finally:
        torch.set_default_dtype(torch.float32)
    assert store.runs() == []


def test_a_format_that_has_no_effect_is_refused_before_anything_runs(store, job):
    with pytest.raises(ConfigError, match=r"device.dtype=float64: toy_measure .*use device.dtype=float32"):
        run_job(job("Measure", device={"dtype": "float64"}))
    with pytest.raises(ConfigError, match=r"toy_train trains in float32"):
        run_job(job("Train", device={"dtype": "float64"}))
    assert store.runs() == []


def test_a_subject_from_outside_counts_by_its_code(own, monkeypatch):
    import importlib
    from typing import ClassVar

    from paribus.experiments import plugins

    class Elsewhere(SubspaceAblation):
        subject: ClassVar[str] = "elsewhere"
        subjects: ClassVar[tuple[str, ...]] = ()

    made = own("own_subject")
    made.write(
        "subject",
        "from paribus.experiments.subject import SubjectPlugin\nclass Own(SubjectPlugin):\n    name = 'elsewhere'\n"
        "    def validate(self, asked):\n        return 1\n    def setup(self, asked):\n        return 1\n",
    )

    def known():
        made.anew()
        monkeypatch.setitem(plugins._registered, "elsewhere", importlib.import_module("own_subject.subject").Own())
        asked = taken(SmallCNN())
        return identify(replace(asked, request=replace(asked.request, experiment=Elsewhere())))

    first = known()
    made.change("subject.py", "return 1\n    def setup", "return 1  # a remark\n    def setup")
    assert known() == first
    made.change("subject.py", "setup(self, asked):\n        return 1", "setup(self, asked):\n        return 2")
    assert known() != first
