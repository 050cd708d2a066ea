"""What a comparison reads of steering is not 0 where steering does much: also where the curve peaks in the middle."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from paribus.compare.compare_interventions import CompareInterventions
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.experiments.shortcut.activation_steering import ActivationSteering

_SPEC = importlib.util.spec_from_file_location("toy_shortcut", Path(__file__).with_name("toy_shortcut.py"))
toy_shortcut = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(toy_shortcut)
Toy, QUICK = toy_shortcut.Toy, toy_shortcut.QUICK


def test_the_endpoint_of_steering_sees_a_curve_that_peaks_in_the_middle():
    toy = Toy(n=1200, seed=3, label_gap=3.0)
    h, labels = toy.features("ood"), toy.labels("ood")
    cut = np.sort(h @ toy.weight[1])[int((labels == 0).sum())]
    toy.bias = np.array([0.0, -float(cut)])  # the threshold that is best where nothing is steered
    experiment = ActivationSteering(directions=["between_domain_pc"], alphas=[-6.0, -3.0, 0.0, 3.0, 6.0])
    found = perform(experiment, toy.setup(), MemoryRecorder())
    curve = found.tables["sweep"].frame.sort_values("alpha")["head_ood_acc"].tolist()
    assert max(curve) == curve[2] and curve[2] - max(curve[0], curve[4]) > 0.25
    run = CollectedRun(
        "r", "r", "activation_steering", condition="standard", seed=0, n_train=1,
        aggregates=dict(found.aggregates.custom), tables={name: table.frame for name, table in found.tables.items()},
    )  # fmt: skip
    result = perform(CompareInterventions(at="final"), RunsSetup(seed=0, stats=QUICK, runs=[run]), MemoryRecorder())
    rows = result.tables["run_effects"].frame
    assert len(rows) and (rows["value"].abs() > 0.1).all(), rows[["endpoint", "value"]].to_dict("records")
    assert (rows["ci_low"] > 0).all()
