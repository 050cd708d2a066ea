"""The builds study through the real command line and a real store, on features whose truth is known."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd
import pytest

import paribus
from paribus.cli.main import main

TINY = [
    "study=builds_small",
    "model=planted",
    "data.n_builds=200",
    "slice.sample_size=120",
    "stats.n_bootstrap=100",
    "stats.n_permutations=99",
    "stats.n_null=10",
    "experiment.steps.survey.n_features=1",
    "experiment.steps.survey.screen_contexts=60",
    "experiment.steps.tokens.influence_contexts=60",
    "experiment.steps.weapons.swap_contexts=20",
    "experiment.steps.kits.swap_contexts=20",
    "experiment.steps.shuffle_null.n_shuffles=39",
    "experiment.steps.sweep.placebo_contexts=40",
    "experiment.steps.sweep_second.placebo_contexts=40",
    "experiment.steps.decoder.max_contexts=60",
    "experiment.steps.cores.max_contexts=20",
]
pytestmark = pytest.mark.usefixtures("undrawn_figures")  # the README's run of this study draws them
LEADS = "ink_recovery_up"
"""Drives the planted feature that the survey finds: it saturates in this family and in nothing else."""


@pytest.mark.slow
def test_the_study_runs_every_type_on_the_chosen_feature_and_tells_what_drives_it(tracked_workdir, capsys):
    from paribus.tracking.opening import open_store
    from paribus.tracking.spec import TrackingSpec

    assert main(TINY) == 0, capsys.readouterr().err
    store = open_store(TrackingSpec(experiment="builds_small"), writing=False)
    runs = {run.tags.get("step"): run for run in store.runs()}
    parent = runs.pop(None)
    assert {run.status for run in (parent, *runs.values())} == {"FINISHED"}
    assert {run.parent for run in runs.values()} == {parent.run_id}
    survey = store.result(runs["survey"].run_id)
    (chosen,) = survey.tables["chosen"].frame.to_dict("records")
    number = chosen["feature_id"]
    assert chosen["leading"] == chosen["family_1"] == LEADS
    assert len(runs) == 19 and all(name == "survey" or name.endswith(f"_{number}") for name in runs)
    swept = runs[f"sweep_{number}"]
    assert swept.params["experiment.family"] == LEADS and swept.params["feature.id"] == number
    assert swept.name == f"family_1d_sweep latent {number} s0"
    assert shlex.split(store.result(runs[f"report_{number}"].run_id).provenance["repeat"])[1:] == TINY, (
        "a page about steps comes with its study"
    )
    for step in ("tokens", "sweep", "split_half", "shuffle_null"):  # with values that the survey filled in
        line = store.result(runs[f"{step}_{number}"].run_id).provenance["repeat"]
        again = paribus.run(shlex.split(line)[1:])
        assert "study=" not in line and store.get(again.run_id).identity == runs[f"{step}_{number}"].identity, line
        for name, table in store.result(runs[f"{step}_{number}"].run_id).tables.items():
            pd.testing.assert_frame_equal(again.tables[name].frame, table.frame)

    report = store.result(runs[f"report_{number}"].run_id)
    drivers = report.aggregates.custom["drivers"]
    assert drivers and all(token.startswith(f"{LEADS}_") for token in drivers)
    summary = "\n".join(report.aggregates.custom["summary"])
    assert f"Latent {number} fires in" in summary and f"{LEADS} shows from" in summary
    assert "Raised by" in summary and "Lowered by" not in summary and "How sure:" in summary
    assert f"{LEADS} alone keeps it in 100% of " in summary and "(drivers, row" in summary
    doses = report.tables["doses"].frame.set_index("family")
    assert doses.loc[LEADS, "mean_delta"] > 0 and doses.loc[LEADS, "p_adj"] <= 0.05
    others = doses.drop(LEADS)
    assert (others[["mean_delta", "ci_low", "ci_high"]] == 0).all(axis=None)
    assert {figure.name for figure in report.figures} >= {"drivers", "dose_response"}
    assert len(report.aggregates.custom["runs"]) == 18
    tokens = report.tables["drivers"].frame
    others = tokens[(tokens["family"] != LEADS) & tokens["mean_delta"].notna()]
    assert len(others) > 50 and (others["mean_delta"] == 0).all()
    assert set(others["verdict"]) <= {"only correlated", "no effect that counts", "undecided, n too small"}
    (page,) = Path().glob(f"multirun/single/*/*/report_{number}/report.html")
    assert "What it does:" in page.read_text()


@pytest.mark.soak
def test_every_step_runs_on_a_model_that_the_study_trains(tracked_workdir, capsys):
    from paribus.tracking.opening import open_store
    from paribus.tracking.spec import TrackingSpec

    assert main([word for word in TINY if word != "model=planted"]) == 0, capsys.readouterr().err
    runs = open_store(TrackingSpec(experiment="builds_small"), writing=False).runs()
    assert {run.status for run in runs} == {"FINISHED"}
    assert len({run.tags["step"] for run in runs if "step" in run.tags}) == 19


def test_a_report_alone_has_nothing_to_tell(workdir, capsys):
    assert main(["experiment=feature_report", "feature=latent"]) == 2
    assert "it is a step of a study" in capsys.readouterr().err
    assert not list(workdir.iterdir())


def test_a_range_of_firing_rates_that_is_empty(workdir, capsys):
    words = ["experiment=feature_survey", "model=planted", "experiment.min_firing=0.5", "experiment.max_firing=0.2"]
    assert main(words) == 2
    assert "min_firing (0.5) must be below max_firing (0.2)" in capsys.readouterr().err
    assert not list(workdir.iterdir())
