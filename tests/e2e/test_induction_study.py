"""The study of induction through the real command line, on a network whose induction head is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from paribus.cli.main import main
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec

WORDS = [
    *(
        "study=induction",
        "model={_target_:induction.Repeats,path:none}",
        "data.n_tokens=60",
        "data.length=7",
        "data.lowest=1",
    ),
    *("data.n_sequences=10", "data.n_reference=4", "stats=quick", "device=cpu"),
    "experiment.steps.heads.ks=[1,2]",
    "experiment.steps.patching.ks=[1,2]",
]
pytestmark = pytest.mark.usefixtures("undrawn_figures")


@pytest.fixture
def known_network(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "golden"))


def test_every_step_finds_the_planted_head(tracked_workdir, known_network, capsys):
    assert main(WORDS) == 0, capsys.readouterr().err
    store = open_store(TrackingSpec(experiment="induction"), writing=False)
    steps = {run.tags.get("step"): store.result(run.run_id) for run in store.runs() if run.tags.get("step")}
    assert set(steps) == {"prefix", "heads", "patching"}

    looked = steps["prefix"].tables["heads"].frame.set_index("level")
    assert looked["score"].idxmax() == "L1H2" and looked.loc["L1H2", "established"]

    without = steps["heads"].tables["heads"].frame.set_index("level")
    assert set(without.index[without["established"]]) == {"L0H1", "L1H2"}
    assert (without.loc[["L0H1", "L1H2"], "inclusion"] > 0.9).all(), "named again in nearly all resamples"
    first = steps["heads"].tables["k_sweep"].frame.set_index("k")
    assert set(first.loc[2, "members"].split()) == {"L0H1", "L1H2"}
    assert first.loc[2, "null_percentile"] == 100, "matched sets write nothing here"

    patched = steps["patching"].tables["patches"].frame
    named = patched[patched["established"]]
    assert set(zip(named["direction"], named["level"], strict=True)) == {("denoise", "L1H2"), ("noise", "L1H2")}
    assert named["share"].tolist() == pytest.approx([1, 1]) and (named["inclusion"] > 0.9).all()
    beside = steps["patching"].tables["score_and_effect"].frame
    assert beside["n"].tolist() == [6, 6]
    told = " ".join(steps["patching"].aggregates.custom["summary"])
    assert "Denoise" in told and "L1H2" in told
