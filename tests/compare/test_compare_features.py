"""Features of two models with a planted permutation: matched exactly; drivers counted as they were planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paribus.compare._compare_features import gathered
from paribus.compare.compare_features import CompareFeatures
from paribus.errors import ConfigError, ExperimentError
from paribus.experiments.base import MemoryRecorder, perform
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.figures.draw import draw
from paribus.stats.spec import StatsSpec

N, EDITS = 6, 24
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(0, 1, (N, EDITS))
ORDER = RNG.permutation(N)
DRIVERS = {feature: list(range(feature)) for feature in range(N)}
"""Feature k is driven by the first k edits, so feature 0 by none."""


def influence(values, drivers):
    sure = np.isin(np.arange(EDITS), drivers)
    ends = {"ci_adj_low": np.where(sure, 0.1, -1.0), "ci_adj_high": 2.0, "ci_low": -1.0, "ci_high": 2.0}
    frame = pd.DataFrame(
        {"token": [f"t{k}" for k in range(EDITS)], "mean_delta": np.where(sure, np.abs(values), values)}
    )
    return frame.assign(**ends, p_adj=np.where(sure, 0.001, 0.9), ci_method="bootstrap_t", p_method="exact")


def one(model, feature, kind, tables=None, **aggregates):
    run_id = f"{model}{feature}{kind}"
    return CollectedRun(
        run_id=run_id, identity=run_id, experiment_type=kind, model_run=model, tables=tables or {},
        aggregates=aggregates, tags={"feature": f"latent {feature}"}, code_version="c",
    )  # fmt: skip


def runs():
    made = []
    for feature in range(N):
        own = influence(VECTORS[feature], DRIVERS[feature])
        made.append(one("aaaaaaaa1", feature, "token_influence_sweep", {"influence": own}))
        source = int(ORDER[feature])
        noisy = VECTORS[source] + 0.02 * RNG.normal(size=EDITS)
        other = influence(noisy, DRIVERS[source])
        made.append(one("bbbbbbbb2", feature, "token_influence_sweep", {"influence": other}))
    cores = pd.DataFrame({"core": ["x", "x + y"]})
    made += [one("aaaaaaaa1", k, "minimal_cores", {"cores": cores.iloc[: k + 1]}) for k in range(2)]
    made += [one("aaaaaaaa1", k, "split_half", passed=k > 0) for k in range(4)]
    return made


@pytest.fixture(scope="module")
def found():
    setup = RunsSetup(seed=0, stats=StatsSpec(), runs=runs())
    return perform(CompareFeatures(n_null=60), setup, MemoryRecorder())


def test_the_planted_permutation_is_found_exactly(found):
    pairs = found.tables["matches"].frame
    matched = {row["feature_a"]: row["feature_b"] for row in pairs.to_dict("records")}
    assert matched == {f"latent {source}": f"latent {place}" for place, source in enumerate(ORDER)}
    assert pairs["mutual"].all() and pairs["r"].min() > 0.95
    total = found.tables["matched"].frame.iloc[0]
    assert total["null_percentile"] == 100.0 and total["null_high"] < total["mean_r"] and total["n_mutual"] == N


def test_similarities_are_numpys(found):
    frame = found.tables["similarity"].frame
    row = frame[(frame["a"] == "latent 1 (aaaaaaaa)") & (frame["b"] == "latent 2 (aaaaaaaa)")].iloc[0]
    own = [influence(VECTORS[k], DRIVERS[k])["mean_delta"] for k in (1, 2)]
    assert row["r"] == pytest.approx(np.corrcoef(*own)[0, 1]) and row["n_edits"] == EDITS
    shared = frame[frame["shared_cores"].notna()]
    assert len(shared) == 1 and shared["shared_cores"].iloc[0] == 0.5


def test_drivers_are_counted_as_planted(found):
    features = found.tables["features"].frame
    mine = features[features["model"] == "aaaaaaaa"]
    assert mine["n_drivers"].tolist() == list(range(N)) and mine["n_tested"].eq(EDITS).all()
    summary = found.tables["summary"].frame.set_index("model")
    assert summary.loc["aaaaaaaa", "driven"] == pytest.approx(5 / 6)
    assert summary.loc["aaaaaaaa", "stable"] == 0.75 and np.isnan(summary.loc["bbbbbbbb", "stable"])
    factors = found.tables["factors"].frame
    first = factors[factors["model"] == "aaaaaaaa"].iloc[0]
    assert (first["factor"], first["n_driven"], first["n_tested"]) == ("token_influence_sweep: t0", 5, N)


def test_it_says_so_in_sentences_and_figures_can_be_drawn(found):
    lines = found.aggregates.custom["summary"]
    assert lines[0].startswith("Model aaaaaaaa: 83%") and any("are matched by r = " in line for line in lines)
    frames = {name: table.frame for name, table in found.tables.items()}
    for figure in found.figures:
        draw(figure, frames)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ConfigError, match="name each type once"):
        CompareFeatures(edits_of=["sweep", "sweep"])
    with pytest.raises(ConfigError, match="keeps no effects on a feature"):
        CompareFeatures(edits_of=["split_half"])
    setup = RunsSetup(seed=0, stats=StatsSpec(), runs=[one("a", 0, "split_half", passed=True)])
    with pytest.raises(ExperimentError, match="no finished run of"):
        perform(CompareFeatures(), setup, MemoryRecorder())


def test_only_effects_on_the_feature_itself_make_its_vector():
    rows = pd.DataFrame({"level": ["latent 1 to zero"], "mean_delta": 1.0, "p_adj": 0.9, "p_method": "exact"})
    rows = rows.assign(ci_low=-1.0, ci_high=2.0, ci_adj_low=-1.0, ci_adj_high=2.0, ci_method="bootstrap_t")
    made = {
        "its own": {"experiment.latents": "[1]", "experiment.readout": "auto"},
        "another readout": {"experiment.latents": "[1]", "experiment.readout": "loss"},
        "set itself": {"experiment.latents": "[]", "experiment.readout": "auto"},
    }
    some = [
        replace(one("aaaaaaaa1", k, "latent_intervention", {"latents": rows}), params=params)
        for k, params in enumerate(made.values())
    ]
    seen = gathered(some, ["latent_intervention"], 0.05)
    assert [(each.feature, list(each.effects)) for each in seen] == [
        ("latent 0", ["latent_intervention: latent 1 to zero"])
    ]
