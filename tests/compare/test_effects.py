"""Curves and checkpoints of runs that measured several."""

from __future__ import annotations

import pandas as pd
import pytest

from paribus.compare.compare_interventions import ENDPOINTS
from paribus.compare.effects import steering_curves
from paribus.compare.endpoints import Choice, Unread, read
from paribus.experiments.setup_runs import CollectedRun

SWEEP = pd.DataFrame(
    {"direction": ["d"] * 4, "epoch": [1, 1, 5, 5], "alpha": [0.0, 1.0, 0.0, 1.0], "head_ood_acc": [0.1, 0.2, 0.3, 0.4]}
)


def run(seed, tables):
    return CollectedRun(
        run_id=f"r{seed}", identity=f"r{seed}", experiment_type="activation_steering", condition="standard",
        n_train=300, seed=seed, tables=tables,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("at", "known", "accuracy"),
    [("final", {}, [0.3, 0.4]), ("peak_val", {("standard", 300, 0): 1.0}, [0.1, 0.2])],
)
def test_a_curve_is_that_of_the_chosen_checkpoint_and_others_are_named(at, known, accuracy):
    choice = Choice("m", "d", "", at, known)
    found, notes = steering_curves([run(0, {"sweep": SWEEP}), run(1, {})], choice)
    assert found["accuracy"].tolist() == accuracy and found["alpha"].tolist() == [0.0, 1.0]
    assert notes == ["steering curves: 1 run left out: its table 'sweep' is not there."]


def test_a_value_that_its_endpoint_cannot_have_is_not_read():
    """An interval that is cut to what is possible would leave it outside."""
    area = ENDPOINTS["steering_area_acc"]
    row = {"epoch": 1, "direction": "d", "accuracy_area_ci_low": 0.0, "accuracy_area_ci_high": 0.2}
    row |= dict.fromkeys(area.columns, 0.1)
    choice = Choice("m", "d", "", "final", {})
    read_of = {
        value: read(
            area, run(0, {area.table: pd.DataFrame([row | {"accuracy_area": value, "direction": "d"}])}), choice
        )
        for value in (0.1, -0.1)
    }
    assert read_of[0.1].value == 0.1
    assert read_of[-0.1] == Unread("accuracy_area of its table 'responses' is -0.1, outside 0 to 1")
