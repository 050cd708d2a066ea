"""The comparison of trainings on modular addition: censored times, exact tests over seeds, and its refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

import paribus
from paribus.cli.main import main
from paribus.compare.compare_modular_addition import CompareModularAddition
from paribus.errors import ConfigError, ExperimentError
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.stats.censored import gehan, gehan_scores
from paribus.stats.spec import StatsSpec
from paribus.tracking.derived import is_derived
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec

HORIZON = 1000
REFERENCE, NO_DECAY, PIZZA = "2.0, 1.0", "0.0, 1.0", "2.0, 0.0"


def network(arm, seed, train_epoch, val_epoch, *, horizon=HORIZON, **read):
    """Return the runs of one network: its training, and those that are made on it."""
    decay, attention = arm.split(", ")
    name, nan = f"{arm}/{seed}", math.nan
    censored = val_epoch is None
    summary = {
        "train_epoch": nan if train_epoch is None else train_epoch,
        "val_epoch": nan if censored else val_epoch,
        "delay": nan if censored or train_epoch is None else val_epoch / train_epoch,
        "censored": censored,
        "final_epoch": horizon,
    }
    params = {"experiment.weight_decay": decay, "model.attn_coeff": attention, "experiment.level": "0.99"}
    tables = {
        "circuit_metrics": {
            "epoch": [horizon - 1, horizon],
            "gradient_symmetricity": [9.0, read.get("symmetric", nan)],
        },
        "isolation_summary": {"epoch": [horizon], "kept_accuracy": [read.get("kept", nan)]},
    }
    made = [
        CollectedRun(run_id=name, identity=name, experiment_type="train_modular_addition", seed=seed, params=params,
                     tables={"summary": pd.DataFrame([summary])}, model_run=name),
    ]  # fmt: skip
    for kind, table in (("circuit_metrics", "circuit_metrics"), ("subspace_isolation", "isolation_summary")):
        made.append(after(name, seed, kind, {table: pd.DataFrame(tables[table])}))
    if "restored" in read:
        made.append(after(name, seed, "head_ablation", {"heads": heads(read["lost"])}, {"experiment.place": "auto"}))
        params = {"experiment.part": "heads", "experiment.places": []}
        made.append(after(name, seed, "activation_patching", {"k_sweep": patched(read["restored"])}, params))
    return made


def after(name, seed, kind, tables, params=None, suffix=""):
    """Return a run on the network of a training."""
    run_id = f"{name}/{kind}{suffix}"
    return CollectedRun(run_id=run_id, identity=run_id, experiment_type=kind, seed=seed, tables=tables,
                        params=params or {}, model_run=name, started_at=f"2026-01-01{suffix}")  # fmt: skip


def heads(lost):
    """Return the effects of heads by two ablations and at two checkpoints; the first head is not in the first row."""
    rows = [
        (HORIZON - 1, "mean", 1, 7.0),
        (HORIZON, "zero", 1, 9.0),
        (HORIZON, "mean", 2, -9.0),
        (HORIZON, "mean", 1, lost),
    ]
    frame = pd.DataFrame(rows, columns=["epoch", "ablation", "rank", "mean_delta"])
    return frame.assign(readout="label_margin")


def patched(restored):
    """Return shares of sets of heads: of one a quarter of what four do together, the noised ones less."""
    rows = [
        (HORIZON, way, k, restored * k / 4 - less, restored / 2)
        for way, less in (("noise", 0.1), ("denoise", 0.0))
        for k in (1, 2, 4)
    ]
    frame = pd.DataFrame(rows, columns=["epoch", "direction", "k", "share", "sum_share"])
    return frame.assign(readout="label_margin")


def study(n=8):
    made = []
    for seed in range(n):
        made += network(REFERENCE, seed, 120 + 5 * (seed % 3), 660 + 30 * seed, symmetric=0.7 + seed / 100, kept=0.2,
                        lost=-7 - seed / 10, restored=0.9 + seed / 100)  # fmt: skip
        made += network(NO_DECAY, seed, 120, None, symmetric=0.7 + seed**2 / 500, kept=0.1 + seed / 50,
                        lost=-2, restored=math.nan if seed == 2 else 0.5)  # fmt: skip
        made += network(PIZZA, seed, 140, None if seed == 3 else 600 + 50 * seed, symmetric=0.98, kept=0.1,
                        lost=-5 - seed / 10, restored=0.8)  # fmt: skip
    return made


def compared(runs, **settings):
    settings = {"endpoints": ["reached", "val_epoch", "delay", "gradient_symmetricity", "kept_accuracy"], **settings}
    setup = RunsSetup(seed=0, stats=StatsSpec(n_bootstrap=200), runs=runs)
    return perform(CompareModularAddition(**settings), setup, MemoryRecorder())


@pytest.fixture(scope="module")
def result():
    return compared(study())


def row(result, endpoint, arm, table="tests"):
    frame = result.tables[table].frame
    return frame[(frame["endpoint"] == endpoint) & (frame["arm"] == arm)].iloc[0]


def test_whether_it_generalises_is_told_by_fisher(result):
    for arm, yes in ((NO_DECAY, 0), (PIZZA, 7)):
        found = row(result, "reached", arm)
        assert found["design"] == "fisher" and found["difference"] == pytest.approx(yes / 8 - 1)
        assert found["p"] == pytest.approx(stats.fisher_exact([[yes, 8 - yes], [8, 0]]).pvalue)


def test_epochs_are_ranked_with_censored_runs_tied_above_all(result):
    ours = [660 + 30 * seed for seed in range(8)]
    theirs = [math.inf if seed == 3 else 600 + 50 * seed for seed in range(8)]
    for arm, times in ((NO_DECAY, [math.inf] * 8), (PIZZA, theirs)):
        ranks = stats.rankdata([*times, *ours])
        exact = stats.permutation_test(
            (ranks[:8], ranks[8:]), lambda a, b, axis: a.mean(axis) - b.mean(axis), n_resamples=np.inf, vectorized=True
        )
        found = row(result, "val_epoch", arm)
        assert found["p"] == pytest.approx(exact.pvalue), arm
        assert found["p_later"] == pytest.approx(np.mean([(t > o) + 0.5 * (t == o) for t in times for o in ours]))
        assert math.isnan(found["mean"]) and math.isnan(found["difference"]), "censored times have no mean"
    assert row(result, "val_epoch", NO_DECAY)["p"] == pytest.approx(2 / math.comb(16, 8))


def test_a_median_among_censored_runs_is_not_reached(result):
    assert math.isnan(row(result, "val_epoch", NO_DECAY, "arms")["median"])
    assert row(result, "val_epoch", PIZZA, "arms")["median"] == pytest.approx(
        np.median([600, 650, 700, 800, 850, 900, 950, 1e9])
    )
    assert result.tables["arms"].frame.query("endpoint == 'delay'")["mean"].isna().all()


def test_what_is_read_after_training_is_paired_by_seed(result):
    differences = np.array([0.98 - 0.7 - seed / 100 for seed in range(8)])
    exact = stats.permutation_test(
        (differences,), lambda x, axis: x.mean(axis), permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    found = row(result, "gradient_symmetricity", PIZZA)
    assert (found["design"], found["p"]) == ("paired_sign_flip", pytest.approx(exact.pvalue))
    assert found["mean"] == pytest.approx(0.98), "the last checkpoint is read"


def test_holm_goes_over_the_primary_rows_alone(result):
    tests = result.tables["tests"].frame
    assert list(tests.columns)[0] == "smallest_p"
    primary = tests[tests["family"] == "primary"]
    assert len(primary) == 6 and set(primary["endpoint"]) == {"reached", "val_epoch", "gradient_symmetricity"}
    order = np.argsort(primary["p"].to_numpy(), kind="stable")
    scaled = np.maximum.accumulate(primary["p"].to_numpy()[order] * (6 - np.arange(6)))
    assert primary["p_adj"].to_numpy()[order] == pytest.approx(np.minimum(scaled, 1))
    others = tests[tests["family"] == "exploratory"]
    assert others["p_adj"].to_numpy() == pytest.approx(stats.false_discovery_control(others["p"]))
    said = result.aggregates.custom["summary"]
    assert said[0].startswith("Smallest p that 8 against 8 seeds can reach")
    assert result.aggregates.custom["n_established"] == sum(line.endswith(": established.") for line in said)


HEADS = ["first_head_effect", "head_restores", "heads_restore", "heads_restore_singly", "heads_destroy"]


def test_heads_and_patches_are_read_from_the_rows_that_are_meant():
    result = compared(study(), endpoints=["reached", "val_epoch", "gradient_symmetricity", *HEADS])
    for endpoint, mean, reference in (
        ("first_head_effect", -5.35, -7.35),
        ("head_restores", 0.2, 0.935 / 4),
        ("heads_restore", 0.8, 0.935),
        ("heads_restore_singly", 0.4, 0.935 / 2),
        ("heads_destroy", 0.7, 0.835),
    ):
        found = row(result, endpoint, PIZZA)
        assert (found["mean"], found["mean_reference"]) == (pytest.approx(mean), pytest.approx(reference)), endpoint
        assert (found["family"], found["design"]) == ("exploratory", "paired_sign_flip")
        assert f"{endpoint}_values" in result.tables and f"{endpoint}_arms" in result.tables
    assert any("margin restored by four heads (share): 1 of 24 networks have none" in line
               for line in result.diagnostics.warnings)  # fmt: skip
    few = row(result, "heads_restore", NO_DECAY)
    assert few["n"] == 7 and "2" in few["flag"], "a share that no run has is none, and its seed is named"


def test_endpoints_of_heads_leave_the_primary_family_as_it_is(result):
    more = compared(
        study(), endpoints=["reached", "val_epoch", "delay", "gradient_symmetricity", "kept_accuracy", *HEADS]
    )
    columns = ["endpoint", "arm", "p", "p_adj", "ci_adj_low", "ci_adj_high"]
    one, two = (each.tables["tests"].frame.query("family == 'primary'")[columns] for each in (result, more))
    pd.testing.assert_frame_equal(one.reset_index(drop=True), two.reset_index(drop=True))


def test_patches_of_other_places_are_not_taken_for_heads():
    runs = study(4)
    for run in [run for run in runs if run.experiment_type == "activation_patching"]:
        name, frame = run.model_run, patched(9.0)
        runs += [
            after(name, run.seed, run.experiment_type, {"k_sweep": frame}, {"experiment.part": "resid_post",
                  "experiment.places": []}, " later"),
            after(name, run.seed, run.experiment_type, {"k_sweep": frame}, {"experiment.part": "heads",
                  "experiment.places": ["L0H1@end"]}, " latest"),
        ]  # fmt: skip
    result = compared(runs, endpoints=["heads_restore"], primary=["heads_restore"])
    assert row(result, "heads_restore", PIZZA)["mean"] == pytest.approx(0.8)
    assert not any("several runs" in line for line in result.diagnostics.warnings)


def test_a_bound_below_an_observed_delay_leaves_their_order_open():
    assert gehan_scores([5, 9], [True, False]).tolist() == [0, 0]
    assert gehan_scores([9, 9], [True, False]).tolist() == [1, -1]
    a, b = [4, 6, 6, 8, 11], [1, 3, 6, 7]
    found = gehan(a, b, [False] * 5, [False] * 4)
    u = stats.mannwhitneyu(a, b).statistic
    assert found.statistic == pytest.approx(u / 20)


def test_without_an_effect_few_censored_samples_are_called_different():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        times, bound = rng.exponential(size=10), rng.uniform(0.5, 2.0, size=10)
        censored, seen = times > bound, np.minimum(times, bound)
        found.append(gehan(seen[:5], seen[5:], censored[:5], censored[5:]).p)
    assert np.mean(np.array(found) <= 0.05) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_different_horizons_are_not_ranked():
    runs = [*study(4), *network(PIZZA, 9, 120, 400, horizon=2000, symmetric=0.9, kept=0.1)]
    with pytest.raises(
        ExperimentError, match=r"differ in epochs \(1000.0, 2000.0\): when they answer cannot be ranked"
    ):
        compared(runs)


def test_two_trainings_of_one_seed_are_not_averaged():
    again = [renamed(run, "again") for run in network(PIZZA, 2, 120, 400)]
    with pytest.raises(ExperimentError, match="2 trainings of arm '2.0, 0.0' have seed 2"):
        compared([*study(4), *again])


def renamed(run, suffix):
    return replace(run, run_id=run.run_id + suffix, identity=run.identity + suffix)


def test_a_network_that_never_learned_its_pairs_has_no_delay_and_is_said():
    result = compared([*study(4), *network(PIZZA, 9, None, None, symmetric=0.9, kept=0.1)])
    assert any("without a time: 1 of 2.0, 0.0" in line for line in result.diagnostics.warnings)
    assert row(result, "delay", PIZZA)["n"] == 4 and row(result, "val_epoch", PIZZA)["n"] == 5


def test_what_no_run_of_an_arm_has_is_said_without_a_number():
    runs = [run for run in study(4) if not (run.run_id.startswith(NO_DECAY) and "isolation" in run.run_id)]
    said = compared(runs).aggregates.custom["summary"]
    assert f"{NO_DECAY}: accuracy with one circle alone, in no run." in said
    assert not any("nan" in line for line in said)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"reference": "2"}, ExperimentError, "no arm '2'"),
        ({"primary": ["circularity"]}, ConfigError, "circularity is not among the endpoints"),
        ({"endpoints": []}, ConfigError, "endpoints: name each once"),
    ],
)
def test_wrong_requests_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        compared(study(4), **settings)


def test_the_study_runs_from_training_to_comparison(tracked_workdir):
    words = [  # what the arms themselves bring is set for all of them
        "study=modular_addition,modular_addition_pizza",
        "seed=0,1",
        "data.p=7",
        "model.d_model=16",
        "experiment.steps.train.epochs=20",
        "stats.n_null=2",
        "figures.formats=[]",
    ]
    assert main(["-m", *words]) == 0
    kept = yaml.safe_load(next(tracked_workdir.glob("multirun/**/multirun.yaml")).read_text())
    assert kept["hydra"]["overrides"]["task"] == words
    (made,) = paribus.load_runs("modular_addition", where="tags.experiment_type = 'compare_modular_addition'")["run_id"]
    result = open_store(TrackingSpec(experiment="modular_addition")).result(made)
    outcomes = result.tables["outcomes"].frame
    assert sorted(zip(outcomes["arm"], outcomes["seed"], strict=True)) == [
        ("2.0, 0.0", 0), ("2.0, 0.0", 1), ("2.0, 1.0", 0), ("2.0, 1.0", 1),
    ]  # fmt: skip
    assert (
        row(result, "gradient_symmetricity", PIZZA)["mean"]
        > row(result, "gradient_symmetricity", PIZZA)["mean_reference"]
    )
    assert set(HEADS) <= set(result.tables["tests"].frame["endpoint"])
    store = open_store(TrackingSpec(experiment="modular_addition"), writing=False)
    derived = {run.tags["group"]: run.metrics for run in store.runs(groups=True) if is_derived(run)}
    means = result.tables["arms"].frame.query("endpoint == 'gradient_symmetricity'").set_index("arm")["mean"]
    assert {arm: metrics["mean/gradient_symmetricity"] for arm, metrics in derived.items()} == means.to_dict()
    values = result.tables["values"].frame.query("endpoint == 'first_head_effect'")
    assert len(values) == 4
    for _, found in values.iterrows():
        frame = store.result(found["run_id"]).tables["heads"].frame
        assert found["value"] == frame.loc[frame["rank"] == 1, "mean_delta"].item()
    patched = [store.result(run.run_id).tables for run in store.runs() if run.tags.get("step") == "patching"]
    assert len(patched) == 4
    for tables in patched:
        frame = tables["patches"].frame
        assert len(frame) == 2 * 2 * 4 and set(frame["direction"]) == {"denoise", "noise"}
        first = frame["pos"].astype(str) == "0"
        assert (frame.loc[first, "remark"] == "no effect at all").all() and (frame.loc[~first, "mean_delta"] != 0).all()
        sets = tables["k_sweep"].frame
        assert sets.query("k < 4")["null_high"].notna().all()
        assert sets.query("k == 4")["null_high"].isna().all(), "no place is left that could change anything"
