"""A compiled program: which heads and units answer is known, and all of them, and no others, are found."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from paribus.experiments.any.ablate.spec import Ablate
from paribus.experiments.any.head_ablation.spec import HeadAblation
from paribus.experiments.any.patch.spec import Patch
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.factors.spec import Patch as Donors
from paribus.factors.spec import Units
from paribus.measure import ArraySubject, Contexts
from paribus.stats.spec import StatsSpec

_SPEC = importlib.util.spec_from_file_location("compiled", Path(__file__).parent / "compiled.py")
compiled = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(compiled)
ABLATIONS = ("zero", "mean", "resample")


@pytest.fixture(scope="module")
def setup():
    ids, same = compiled.sequences()
    halves = {"train": np.arange(0, 80), "test": np.arange(80, 240)}
    contexts = Contexts(inputs=ids, label=same, cluster=np.arange(len(ids)), splits=halves)
    stats = StatsSpec(n_null=5, n_bootstrap=300, n_permutations=999)
    return NetworkSetup(seed=0, stats=stats, contexts=ArraySubject(contexts), network=compiled.Same().eval())


def table(experiment, setup, name="effects"):
    recorder = MemoryRecorder()
    perform(experiment, setup, recorder)
    return recorder.tables[name].frame


def test_the_program_answers(setup):
    ids, same = compiled.sequences()
    assert (setup.network(ids).argmax(1).numpy() == same).all()


def test_all_relevant_units_and_no_others_are_found_by_all_ablations_together(setup):
    found, constant = {}, {}
    for ablation in ABLATIONS:
        asked = Ablate(factor=Units(ablation=ablation), place="layers.0.mlp.down.input", readout="loss", ks=[])
        frame = table(asked, setup)
        assert len(frame) == 11
        found[ablation] = set(frame.loc[frame["established"], "level"])
        remarks = frame["remark"] if "remark" in frame else frame["level"].map(lambda _: "")
        constant[ablation] = set(frame.loc[remarks == "constant here", "level"])
        others = frame[~frame["level"].isin(compiled.RELEVANT_UNITS)]
        assert (others["mean_delta"] == 0).all() and (others["p"] == 1).all()
    assert set.union(*found.values()) == compiled.RELEVANT_UNITS, "recall and precision 1"
    assert found["zero"] > found["mean"] == found["resample"] == {f"unit {one}" for one in compiled.SAME}
    assert constant == {"zero": set(), "mean": compiled.CONSTANT_UNITS, "resample": compiled.CONSTANT_UNITS}


def test_all_relevant_heads_and_no_others_are_found_by_all_ablations_together(setup):
    frame = table(HeadAblation(ablations=list(ABLATIONS), ks=[], readout="loss", place="L*.heads"), setup, "heads")
    assert set(frame.loc[frame["established"], "level"]) == compiled.RELEVANT_HEADS
    quiet = frame[frame["remark"] == "constant here"]
    assert set(quiet["level"]) == compiled.CONSTANT_HEADS and set(quiet["ablation"]) == {"mean", "resample"}
    assert "head 1" not in set(quiet["level"]), "it differs, and is not read: irrelevant, not constant"


def test_patching_finds_the_path_of_the_answer(setup):
    places = [f"layers.0.attn.out.input[head={head}, pos={pos}]" for head in range(3) for pos in range(-2, 0)]
    asked = Patch(factor=Donors(), places=places, readout="loss", n_donors=0)
    frame = table(asked, setup).set_index("level")
    assert frame.index[frame["established"]].tolist() == ["layers.0.attn.out.input[head=0, pos=-1]"]
    assert (frame.loc[frame.index != "layers.0.attn.out.input[head=0, pos=-1]", "mean_delta"] == 0).all()
