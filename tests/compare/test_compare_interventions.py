"""The comparison of training conditions: planted differences are found, nulls are silent, gaps are flagged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paribus.compare.compare import ALLOW, Compare
from paribus.compare.compare_interventions import CompareInterventions
from paribus.errors import ConfigError, ExperimentError
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.figures.draw import draw
from paribus.stats.spec import StatsSpec

STATS = StatsSpec(n_bootstrap=300, n_permutations=199)
EPOCHS = (1, 10, 100)
LEFT = {"mean_difference": 0.1, "inlp": 1.0}
"""Share of the swap effect that each eraser leaves."""
PRIMARY = ["swap_effect", "swap_removed"]


def model_runs(condition, seed, *, n_train=600, raw=0.6, delta=0.0, ranking=None, rng=None, params=None):
    """Return the five runs of one trained model, noise from ``rng``."""
    noise = (lambda: float(rng.normal(0, 0.01))) if rng is not None else (lambda: 0.0)
    raw_values = {e: raw + noise() for e in EPOCHS}
    ablation = pd.DataFrame(
        [
            {"epoch": e, "method": m, "split": s, "head_acc_raw": raw_values[e],
             "head_acc_raw_ci_low": raw_values[e] - 0.1, "head_acc_raw_ci_high": raw_values[e] + 0.1,
             "head_acc_ablated": raw_values[e] + change, "delta": change, "ci_low": change - 0.1,
             "ci_high": change + 0.1, "auroc_delta": auroc, "auroc_ci_low": auroc - 0.05, "auroc_ci_high": auroc + 0.05,
             "swap_remaining": LEFT[m] + noise()}
            for e in EPOCHS for m in ("mean_difference", "inlp") for s in ("id_val", "ood")
            for change in [delta + noise()] for auroc in [0.0 if ranking is None else ranking + noise()]
        ]
    )  # fmt: skip
    alphas = np.linspace(-3, 3, 5)
    along = {"epoch": EPOCHS[1], "direction": "between_domain_pc"}
    sweep = pd.DataFrame({**along, "alpha": alphas, "head_ood_acc": raw + 0.01 * alphas + noise()})
    responses = pd.DataFrame(
        [{**along, "slope_in_sd": 0.5 + noise(), "slope_ci_low": 0.4, "slope_ci_high": 0.6,
          "accuracy_area": 0.1 + noise(), "accuracy_area_ci_low": 0.05, "accuracy_area_ci_high": 0.15,
          "auroc_area": 0.0, "auroc_area_ci_low": 0.0,
          "auroc_area_ci_high": 0.0}]
    )  # fmt: skip
    swap = pd.DataFrame(
        [{"epoch": EPOCHS[1], "split": s, "delta": 5.0, "in_sd": 0.5 + noise(), "in_sd_ci_low": 0.3,
          "in_sd_ci_high": 0.7}
         for s in ("val", "all")]
    )  # fmt: skip
    probes = pd.DataFrame(
        [
            {"epoch": e, "layer": layer, "target": t, "balanced_accuracy": 0.7 + noise(), "ci_low": 0.6, "ci_high": 0.8,
             "chance": 0.25}
            for e in EPOCHS for layer in ("conv1", "avgpool") for t in ("domain", "label")
        ]
    )  # fmt: skip
    common = {"condition": condition, "seed": seed, "n_train": n_train, "params": params or {}, "code_version": "abc"}
    name = f"{condition}-{n_train}-{seed}"
    kinds = {
        "train_classifier": {"aggregates": {"peak_val_epoch": 10, "final_epoch": 100}},
        "subspace_ablation": {"tables": {"ablation": ablation}},
        "activation_steering": {"tables": {"sweep": sweep, "responses": responses}},
        "probe_trajectory": {"tables": {"probes": probes}},
        "domain_swap": {"tables": {"signed_swap": swap}},
    }
    return [
        CollectedRun(run_id=f"{name}-{kind}", identity=f"{name}-{kind}", experiment_type=kind, **common, **content)
        for kind, content in kinds.items()
    ]


def study(seeds, *, effect=0.0, delta=0.0, rng_seed=0):
    rng = np.random.default_rng(rng_seed)
    runs = []
    for condition, own in seeds.items():
        shift = effect if condition == "grokking" else 0.0
        change = delta if condition == "grokking" else 0.0
        for seed in own:
            runs += model_runs(condition, seed, raw=0.6 + shift, delta=change, rng=rng)
    return runs


def compared(runs, **settings):
    recorder = MemoryRecorder()
    experiment = CompareInterventions(**{"method": "mean_difference", **settings})
    result = perform(experiment, RunsSetup(seed=0, stats=STATS, runs=runs), recorder)
    return result, result.tables["tests"].frame.set_index("endpoint")


def test_a_planted_difference_is_found_and_the_others_stay_silent():
    both = {"standard": range(8), "grokking": range(8)}
    result, tests = compared(study(both, delta=0.1))
    assert tests.loc["ablation_delta_ood", "p_adj"] <= 0.05
    assert tests.loc["ablation_delta_ood", "difference"] == pytest.approx(0.1, abs=0.02)
    low, high = tests.loc["ablation_delta_ood", ["ci_low", "ci_high"]]
    assert low < 0.1 < high and low > 0
    others = tests.drop(index="ablation_delta_ood")
    assert (others["p_adj"] > 0.05).all()
    assert result.aggregates.custom["established"] == ["ablation_delta_ood: grokking"]


def test_the_null_stays_silent_over_many_studies():
    both = {"standard": range(6), "grokking": range(6)}
    hits = sum(compared(study(both, rng_seed=s))[0].aggregates.custom["n_established"] > 0 for s in range(12))
    assert hits <= 2


def test_same_seeds_are_paired_and_the_reach_comes_first():
    result, tests = compared(study({"standard": range(6), "grokking": range(6)}))
    assert set(tests["design"]) == {"paired_sign_flip"}
    assert tests["smallest_p"].tolist() == [2 / 64] * 5
    assert tests["smallest_p_adj"].tolist() == pytest.approx([5 * 2 / 64] * 5)
    assert result.tables["tests"].frame.columns[0] == "smallest_p"
    first = result.aggregates.custom["summary"][0]
    assert first.startswith("Smallest p that 6 against 6 seeds can reach") and "No single difference" in first


def test_five_against_three_seeds_permutes_labels_and_names_the_missing():
    result, tests = compared(study({"standard": range(5), "grokking": range(3)}, effect=0.3))
    row = tests.loc["raw_ood_accuracy"]
    assert row["design"] == "label_permutation"
    assert (row["smallest_p"], row["p"]) == (pytest.approx(1 / 56), pytest.approx(1 / 56))
    assert row["p_mann_whitney"] == pytest.approx(1 / 28)
    assert "3, 4" in row["flag"]
    assert any("missing: 3, 4" in line for line in result.diagnostics.warnings)


def test_missing_seeds_can_be_refused():
    with pytest.raises(ExperimentError, match="missing: 3, 4"):
        compared(study({"standard": range(5), "grokking": range(3)}), missing_seeds="refuse")


def test_different_seeds_are_not_called_missing():
    _, tests = compared(study({"standard": range(4), "grokking": range(10, 14)}))
    assert set(tests["design"]) == {"label_permutation"} and set(tests["flag"]) == {""}


def test_the_chosen_checkpoint_is_the_one_best_on_validation():
    runs = study({"standard": range(3), "grokking": range(3)})
    result, _ = compared(runs)
    effects = result.tables["run_effects"].frame
    assert set(effects.loc[effects["endpoint"] == "raw_ood_accuracy", "epoch"]) == {10}
    result, _ = compared(runs, at="final")
    effects = result.tables["run_effects"].frame
    assert set(effects.loc[effects["endpoint"] == "raw_ood_accuracy", "epoch"]) == {100}


def test_a_swap_over_training_is_read_at_the_chosen_checkpoint():
    runs = study({"standard": range(3), "grokking": range(3)})
    ends = {"in_sd_ci_low": 0.0, "in_sd_ci_high": 2.0}
    swaps = pd.DataFrame([{"epoch": e, "split": s, "in_sd": e / 10, **ends} for e in EPOCHS for s in ("val", "all")])
    runs = [replace(r, tables={"signed_swap": swaps}) if r.experiment_type == "domain_swap" else r for r in runs]
    effects = compared(runs)[0].tables["run_effects"].frame
    assert effects.loc[effects["endpoint"] == "swap_effect", "value"].tolist() == [1.0] * 6


def test_failed_runs_are_left_out_and_named():
    runs = study({"standard": range(3), "grokking": range(3)})
    broken = [replace(r, status="FAILED") if "grokking-600-2" in r.run_id else r for r in runs]
    result, tests = compared(broken)
    assert tests.loc["raw_ood_accuracy", "n"] == 2
    assert any("status FAILED left out" in line for line in result.diagnostics.warnings)


def test_one_condition_alone_is_described_and_drawn():
    result, tests = compared(study({"standard": range(3)}))
    assert tests.empty
    assert any("Only the condition 'standard'" in line for line in result.diagnostics.warnings)
    frames = {name: table.frame for name, table in result.tables.items()}
    drawn = draw(result.figures[0], frames)
    texts = [t.get_text() for ax in drawn.axes for t in ax.texts]
    assert texts.count("no data yet") == 2


def test_nothing_to_compare_is_one_clear_line():
    with pytest.raises(ExperimentError, match="no finished run to compare"):
        compared([])


def test_mixed_code_is_flagged_or_refused():
    runs = study({"standard": range(3), "grokking": range(3)})
    runs[1] = replace(runs[1], code_version="other")
    result, _ = compared(runs)
    assert any("2 versions of the code" in line for line in result.diagnostics.warnings)
    with pytest.raises(ExperimentError, match="versions of the code"):
        compared(runs, mixed_code="refuse")


def test_older_versions_of_an_experiment_are_left_out():
    runs = study({"standard": range(3), "grokking": range(3)})
    newer = [replace(r, experiment_version=2) if r.seed != 0 else r for r in runs]
    result, tests = compared(newer)
    assert tests.loc["raw_ood_accuracy", ["n", "n_reference"]].tolist() == [2, 2]
    assert any("older version" in line for line in result.diagnostics.warnings)


def test_several_sizes_are_averaged_within_the_seed():
    runs = [r for c in ("standard", "grokking") for n in (300, 600) for s in range(6)
            for r in model_runs(c, s, n_train=n, raw=0.6 + (0.1 if c == "grokking" else 0) + n / 1e4)]  # fmt: skip
    _, tests = compared(runs)
    row = tests.loc["raw_ood_accuracy"]
    assert (row["n"], row["n_reference"]) == (6, 6)
    assert row["difference"] == pytest.approx(0.1)


def test_a_size_of_one_arm_only_does_not_enter_the_difference():
    runs = [r for s in range(4) for r in model_runs("standard", s, n_train=300, raw=0.5)]
    runs += [r for s in range(4) for n in (300, 600) for r in model_runs("grokking", s, n_train=n, raw=n / 1000)]
    _, tests = compared(runs)
    assert tests.loc["raw_ood_accuracy", "difference"] == pytest.approx(0.3 - 0.5)
    assert "600" in tests.loc["raw_ood_accuracy", "flag"]


def factorial(seeds, effect):
    runs = []
    for i in range(8):
        wd, scale, fast = i & 1, (i >> 1) & 1, (i >> 2) & 1
        params = {"training.weight_decay": (1e-4, 0.3)[wd], "training.init_scale": (1.0, 2.0)[scale],
                  "training.grokfast": bool(fast)}  # fmt: skip
        for seed in seeds:
            rng = np.random.default_rng([seed, i])
            name = ("standard", "c1", "c2", "c3", "c4", "c5", "c6", "grokking")[i]
            runs += model_runs(name, seed, raw=0.5 + effect * fast, rng=rng, params=params)
    return runs


def test_the_full_factorial_attributes_a_difference_to_its_factor():
    result, _ = compared(factorial(range(3), 0.2))
    rows = result.tables["factors"].frame
    rows = rows[rows["endpoint"] == "raw_ood_accuracy"].set_index("factor")
    assert rows.loc["training.grokfast", "effect"] == pytest.approx(0.2, abs=0.02)
    assert rows.loc["training.grokfast", "p_adj"] <= 0.05
    assert rows.loc["training.grokfast", "n_pairs"] == 12
    assert (rows.drop(index="training.grokfast")["p_adj"] > 0.05).all()


def test_without_the_full_factorial_no_main_effect_is_claimed():
    result, _ = compared([r for r in factorial(range(3), 0.2) if r.condition in ("standard", "grokking")])
    assert "factors" not in result.tables


def test_where_restricts_by_parameters_also_when_they_were_logged_as_text():
    runs = []
    for strength in (0.0, 0.9):
        for condition in ("standard", "grokking"):
            for seed in range(3):
                made = model_runs(condition, seed, raw=0.5 + strength / 10, params={"data.strength": str(strength)})
                runs += [replace(x, run_id=f"{x.run_id}{strength}", identity=f"{x.identity}{strength}") for x in made]
    result, _ = compared(runs, where=["data.strength=0"])
    effects = result.tables["run_effects"].frame
    assert effects.loc[effects["endpoint"] == "raw_ood_accuracy", "value"].tolist() == pytest.approx([0.5] * 6)


SITES = [{"experiment.site": "auto", "checkpoint": "all"}, {"experiment.site": "layer2", "checkpoint": "all"}]
OWN_SEEDS = [{"own_seed": 0}, {"own_seed": 5}]


@pytest.mark.parametrize(
    ("kind", "params", "fields", "offered"),
    [
        ("subspace_ablation", SITES, [{}, {}], "experiment.where=[experiment.site=layer2]"),
        ("activation_steering", SITES, [{}, {}], "experiment.where=[experiment.site=layer2]"),
        ("domain_swap", [{}, {}], OWN_SEEDS, "experiment.where=[own_seed=0]"),
        ("domain_swap", [{}, {}], [{}, {}], "experiment.runs="),
    ],
)
def test_two_runs_of_one_model_that_differ_are_refused_with_what_decides(kind, params, fields, offered):
    """The one that happened to be later is no better an answer to the question that was asked."""
    runs = study({"standard": range(3), "grokking": range(3)})
    everywhere = [replace(run, params=params[0], **fields[0]) for run in runs]
    measured = next(run for run in everywhere if run.experiment_type == kind)
    again = replace(measured, run_id="0a1b2c3d4e", identity="other", params=params[1], **fields[1])
    compared(everywhere)
    with pytest.raises(ExperimentError, match="1 trained model was measured by runs that differ") as caught:
        compared([*everywhere, again])
    message = str(caught.value)
    assert "0a1b2c3d" in message and "\n" not in message
    if kind == "domain_swap":
        assert offered in message
    else:
        wanted = [{**params[1]} for run in everywhere]
        both = [replace(run, run_id=f"{run.run_id}b", identity=f"{run.identity}b", params=p)
                for run, p in zip(everywhere, wanted, strict=True)]  # fmt: skip
        with pytest.raises(ExperimentError) as caught:
            compared([*everywhere, *both])
        assert offered in str(caught.value)
        where = offered.removeprefix("experiment.where=[").removesuffix("]")
        effects = compared([*everywhere, *both], where=[where])[0].tables["run_effects"].frame
        assert effects["run_id"].str.endswith("b").all()


def test_the_same_measurement_made_twice_is_read_once():
    runs = study({"standard": range(3), "grokking": range(3)})
    again = replace(runs[1], run_id="later", started_at="2026-01-01")
    assert len(compared([*runs, again])[0].tables["run_effects"].frame) == 30


def test_nested_runs_inherit_condition_and_seed_from_their_parent():
    runs = study({"standard": range(3), "grokking": range(3)})
    nested = []
    for run in runs:
        if run.experiment_type == "train_classifier":
            nested.append(run)
        else:
            parent = run.run_id.rpartition("-")[0] + "-train_classifier"
            nested.append(replace(run, condition=None, seed=None, n_train=None, parent=parent))
    pd.testing.assert_frame_equal(compared(nested)[1], compared(runs)[1])


def test_every_figure_can_be_drawn():
    result, _ = compared(study({"standard": range(3), "grokking": range(3)}, delta=0.1))
    frames = {name: table.frame for name, table in result.tables.items()}
    assert result.figures[0].name == "figure_intervention_comparison"
    for figure in result.figures:
        assert draw(figure, frames).axes


def test_every_endpoint_carries_the_interval_of_its_run():
    every = [*CompareInterventions().endpoints, "steering_area_acc"]
    result, _ = compared(study({"standard": range(2), "grokking": range(2)}), endpoints=every)
    effects = result.tables["run_effects"].frame
    assert set(effects["endpoint"]) == set(every)
    assert effects[["ci_low", "ci_high"]].notna().all(axis=None)


def test_the_swap_effect_is_compared_in_sd_of_the_margin():
    effects = compared(study({"standard": range(3)}))[0].tables["run_effects"].frame
    swaps = effects[effects["endpoint"] == "swap_effect"]
    assert len(swaps) == 3
    assert swaps["value"].between(0.4, 0.6).all() and set(swaps["unit"]) == {"sd of the margin"}


def test_intervals_and_p_of_every_row_agree_before_and_after_adjustment():
    both = {"standard": range(8), "grokking": range(8)}
    for seed in range(3):
        result, _ = compared(study(both, delta=0.02, effect=0.05, rng_seed=seed))
        for table in ("tests", "conditions"):
            for _, row in result.tables[table].frame.dropna(subset=["p"]).iterrows():
                assert (row["p"] <= 0.05) == (not row["ci_low"] <= 0 <= row["ci_high"])
                if not row["ci_adj_method"].startswith("none"):
                    assert (row["p_adj"] <= 0.05) == (not row["ci_adj_low"] <= 0 <= row["ci_adj_high"])


def test_with_five_pairs_nothing_rests_on_the_t_interval():
    result, tests = compared(study({"standard": range(5), "grokking": range(5)}, delta=0.3))
    line = next(x for x in result.aggregates.custom["summary"] if "against standard, change of OOD accuracy by" in x)
    assert "too few runs for a claim to rest on it" in line and line.count("not established") == 1
    assert result.aggregates.custom["n_established"] == 0
    row = tests.loc["ablation_delta_ood"]
    assert row["ci_method"] == "student_t" and row["ci_low"] > 0 and np.isnan(row["ci_adj_low"])


def test_sentences_name_the_confidence_that_was_asked_for():
    runs = study({"standard": range(8), "grokking": range(8)}, delta=0.1)
    recorder, spec = MemoryRecorder(), StatsSpec(n_bootstrap=300, n_permutations=199, confidence=0.9)
    asked = CompareInterventions(method="mean_difference")
    result = perform(asked, RunsSetup(seed=0, stats=spec, runs=runs), recorder)
    said = " ".join(result.aggregates.custom["summary"])
    assert "90 % CI" in said and "95 %" not in said


@pytest.mark.parametrize(
    ("ranking", "words"),
    [
        (None, "The AUROC does not move: this is a shift of the threshold."),
        (0.0, "as far as these runs show, a shift of the threshold."),
        (0.2, ""),
    ],
)
def test_where_accuracy_moves_and_the_ranking_does_not_the_sentence_says_threshold(ranking, words):
    rng = np.random.default_rng(4)
    runs = [r for s in range(8) for r in model_runs("standard", s, delta=0.2, ranking=ranking, rng=rng)]
    said = compared(runs)[0].aggregates.custom["summary"]
    line = next(x for x in said if "change of OOD accuracy by ablation" in x)
    assert ("threshold" in line) == bool(words) and line.endswith(words or ").")


def test_points_and_bars_of_the_endpoints_figure_are_those_of_its_table():
    runs = [r for c in ("standard", "grokking") for n in (300, 600) for s in range(6)
            for r in model_runs(c, s, n_train=n, raw=0.5 + s / 50 + n / 1e4)]  # fmt: skip
    result, _ = compared(runs)
    figure = next(f for f in result.figures if f.name == "endpoints")
    points = result.tables[figure.tables[0]].frame
    assert not points.duplicated(["endpoint", "training", "seed"]).any()
    bars = result.tables[figure.tables[1]].frame
    means = points.groupby(["endpoint", "training"])["value"].mean()
    assert bars.set_index(["endpoint", "training"])["mean"].to_dict() == pytest.approx(means.to_dict())


def test_a_run_that_cannot_be_read_is_named_with_the_reason():
    runs = study({"standard": range(3), "grokking": range(3)})
    other = runs[1]
    assert other.experiment_type == "subspace_ablation"
    table = other.tables["ablation"]
    for tables, reason in (
        ({}, "its table 'ablation' is not there"),
        ({"ablation": table.drop(columns="delta")}, "its table 'ablation' has no column delta"),
        ({"ablation": table[table["method"] == "inlp"]}, "no row with method=mean_difference (it has inlp)"),
        ({"ablation": table[table["epoch"] != 10]}, "it measured epochs 1, 100, not 10, which is peak_val"),
        ({"ablation": pd.concat([table, table])}, "2 rows of its table 'ablation' fit, not one"),
    ):
        result, tests = compared([replace(r, tables=tables) if r is other else r for r in runs])
        assert tests.loc["ablation_delta_ood", "n_reference"] == 2
        assert any("1 run of subspace_ablation left out" in w and reason in w for w in result.diagnostics.warnings)


def test_a_model_whose_training_is_not_there_is_not_read_at_its_last_epoch():
    runs = [r for r in study({"standard": range(3), "grokking": range(3)}) if r.experiment_type != "train_classifier"]
    result, tests = compared(runs)
    assert "raw_ood_accuracy" not in set(result.tables["run_effects"].frame["endpoint"])
    assert any("so that peak_val is not known" in line for line in result.diagnostics.warnings)
    effects = compared(runs, at="final")[0].tables["run_effects"].frame
    assert set(effects.loc[effects["endpoint"] == "raw_ood_accuracy", "epoch"]) == {100}


def test_the_checkpoint_is_that_of_the_very_training():
    """Another training of equal condition, size and seed has a best epoch of its own."""
    runs = [replace(r, model_run=f"{r.condition}{r.seed}") for r in study({"standard": range(3)})]
    training = next(r for r in runs if r.experiment_type == "train_classifier")
    later = replace(
        training, run_id="later", identity="later", model_run="later", started_at="2026-12-01",
        aggregates={"peak_val_epoch": 100, "final_epoch": 100},
    )  # fmt: skip
    effects = compared([*runs, later])[0].tables["run_effects"].frame
    assert set(effects["epoch"]) == {10}


def test_the_only_checkpoint_of_a_run_is_read_and_said_to_be_another():
    runs = study({"standard": range(3)})
    alone = [
        replace(r, tables={"ablation": r.tables["ablation"].query("epoch == 100")})
        if r.experiment_type == "subspace_ablation" else r for r in runs
    ]  # fmt: skip
    result, _ = compared(alone)
    said = "3 runs read at the only checkpoint it measured, epoch 100, peak_val being epoch 10"
    assert any(said in line for line in result.diagnostics.warnings)


def test_runs_compared_across_settings_are_named():
    """A condition measured at another site, or on other data, is no arm of the same comparison."""
    runs = []
    for condition, site in (("standard", "auto"), ("grokking", "layer2")):
        for seed in range(3):
            runs += model_runs(condition, seed, params={"experiment.site": site, "data.seed": seed})
    said = compared(runs)[0].diagnostics.warnings
    assert "The compared runs of subspace_ablation differ in experiment.site: auto (3), layer2 (3)." in said
    assert not any("data.seed" in line for line in said)
    assert compared(runs, where=["site=auto"])[0].diagnostics.warnings != said


def test_the_line_of_chance_is_that_of_the_data():
    """One half is chance only for two classes."""
    runs = study({"standard": range(2)})
    assert compared(runs)[0].figures[0].options["hline"] == 0.25
    assert compared(runs, chance=0.1)[0].figures[0].options["hline"] == 0.1
    without = [r for r in runs if r.experiment_type != "probe_trajectory"]
    assert "hline" not in compared(without)[0].figures[0].options


def test_the_heading_names_data_site_and_eraser():
    runs = [replace(r, params={"data": "digits"}, aggregates={**r.aggregates, "site": "fc.input"})
            for r in study({"standard": range(2)})]  # fmt: skip
    title = compared(runs)[0].figures[0].title
    assert title.endswith(": digits, site fc.input, eraser mean_difference")


def test_the_default_eraser_is_one_that_removes_the_effect():
    from paribus.experiments.shortcut.subspace_ablation import SubspaceAblation

    assert CompareInterventions().method == SubspaceAblation().methods[0] == "mean_difference"


@pytest.mark.parametrize(
    "settings",
    [{"at": "5"}, {"at": "epoch:x"}, {"accuracy_limits": [0.9, 0.1]}, {"endpoints": []},
     {"endpoints": ["swap_effect", "swap_effect"]}, {"endpoints": ["nothing"]}, {"where": ["data.strength"]},
     {"missing_seeds": "ignore"}],
)  # fmt: skip
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ConfigError):
        CompareInterventions(**settings)


def test_a_reference_line_is_drawn_where_one_is_known():
    runs = study({"standard": range(2)})
    for asked, drawn in ((0.4, {"hline": 0.4}), (None, {"hline": 0.25})):
        figures = compared(runs, chance=asked)[0].figures
        (figure,) = (each for each in figures if each.name == "figure_intervention_comparison")
        assert {name: value for name, value in figure.options.items() if name == "hline"} == drawn


def test_the_change_of_the_ranking_stands_beside_the_accuracy_it_belongs_to():
    runs = [r for c, ranking in (("standard", 0.05), ("grokking", 0.2)) for s in range(4)
            for r in model_runs(c, s, ranking=ranking)]  # fmt: skip
    _, tests = compared(runs)
    assert tests.loc["ablation_delta_ood", "auroc_change"] == pytest.approx(0.15)
    assert tests.loc[["raw_ood_accuracy", "steering_margin_slope"], "auroc_change"].isna().all()


def test_a_row_of_an_experiment_on_any_network_is_compared_by_its_level():
    def effects(value):
        columns = {"epoch": 1, "level": ["unit 3", "unit 4"], "mean_delta": [value, 0.0]}
        return pd.DataFrame({**columns, "ci_low": [value - 0.1, -0.1], "ci_high": [value + 0.1, 0.1]})

    runs = [
        CollectedRun(
            f"{condition}{seed}",
            f"{condition}{seed}",
            "ablate",
            condition=condition,
            seed=seed,
            n_train=300,
            tables={"effects": effects(shift + seed / 100)},
        )
        for condition, shift in (("standard", 0.0), ("grokking", 1.0))
        for seed in range(3)
    ]
    result, _ = compared(runs, endpoints=["ablate_level_effect"], level="unit 3", at="final")
    found = result.tables["run_effects"].frame
    assert sorted(found["value"].round(2)) == [0.0, 0.01, 0.02, 1.0, 1.01, 1.02]
    with pytest.raises(ConfigError, match="ablate_level_effect needs one"):
        CompareInterventions(endpoints=["ablate_level_effect"])


def families(result):
    tables = [result.tables[name].frame for name in ("conditions", "tests", "other_erasers")]
    return [pd.concat([t[(t["family"] == name) & t["p"].notna()] for t in tables])
            for name in ("primary", "exploratory")]  # fmt: skip


def declared(seeds, **settings):
    endpoints = [*CompareInterventions().endpoints, "swap_removed"]
    runs = study({"standard": seeds, "grokking": seeds}, **settings)
    return compared(runs, endpoints=endpoints, primary=PRIMARY)[0]


def test_six_primary_tests_of_eight_pairs_can_be_established_and_all_others_are_exploratory():
    result = declared(range(8))
    primary, exploratory = families(result)
    assert len(primary) == 6 and set(primary["endpoint"]) == set(PRIMARY)
    assert primary["smallest_p_adj"].tolist() == pytest.approx([6 * 2 / 256] * 6)
    assert set(exploratory["endpoint"]).isdisjoint({"swap_effect"})
    assert exploratory["smallest_p_adj"].iloc[0] == pytest.approx(len(exploratory) * 2 / 256)
    lines = result.aggregates.custom["summary"]
    assert lines[0].startswith("Primary family: 6 tests") and "adjusted 0.0469" in lines[0]
    there = [line for line in lines if line.startswith("The shortcut is there")]
    gone = [line for line in lines if line.startswith("Erasing mean_difference removes 90 %")]
    assert len(there) == len(gone) == 2 and all("adjusted p = 0.0469" in line for line in (*there, *gone))
    (undecided,) = [line for line in lines if line.startswith("Not decided: ")]
    assert undecided.count("grokking against standard") == 2
    later = lines[lines.index(undecided) + 1 :]
    assert later[0].startswith("Exploratory: ") and not any(": established" in line for line in later)
    assert any("inlp" in line and "other erasers" in line for line in later)
    assert sorted(result.aggregates.custom["established"]) == sorted(
        f"{endpoint}: {condition}" for endpoint in PRIMARY for condition in ("standard", "grokking")
    )
    shown = result.tables["primary"].frame
    assert shown["row"].tolist() == ["standard", "grokking", "grokking − standard"] * 2
    assert shown["endpoint"].tolist() == [endpoint for endpoint in PRIMARY for _ in range(3)]
    measured = primary.assign(value=primary["mean"].where(primary["difference"].isna(), primary["difference"]))
    for column in ("value", "ci_adj_low", "ci_adj_high", "p_adj"):
        assert sorted(shown[column]) == sorted(measured[column])
    assert result.figures[0].name == "primary" and result.figures[0].columns["p"] == "p_adj"


def without(kind, column, runs):
    """Return the runs without the numbers of a column of the only table of a type."""

    def empty(run):
        return {name: table.assign(**{column: np.nan}) for name, table in run.tables.items()}

    return [replace(run, tables=empty(run)) if run.experiment_type == kind else run for run in runs]


def test_a_declared_endpoint_that_no_run_has_is_not_called_decided():
    made = study({"standard": range(8), "grokking": range(8)})
    endpoints = [*CompareInterventions().endpoints, "swap_removed"]
    said = compared(without("subspace_ablation", "swap_remaining", made), endpoints=endpoints, primary=PRIMARY)[0]
    lines = said.aggregates.custom["summary"]
    assert "Declared, and not tested: share of the domain swap's effect that the eraser removes." in lines
    assert not any(line.startswith("Every primary test is decided") for line in lines)
    some = [run for run in made if run.condition == "standard" or run.experiment_type != "domain_swap"]
    lines = compared(some, endpoints=endpoints, primary=PRIMARY)[0].aggregates.custom["summary"]
    (line,) = (line for line in lines if line.startswith("Declared, and not tested"))
    assert line.endswith("margin shift by the domain swap, grokking against standard (no runs to compare).")


def test_an_established_effect_and_an_established_difference_have_names_of_their_own():
    made = study({"standard": range(8), "grokking": range(8)})
    twice = [replace(run, tables={"signed_swap": run.tables["signed_swap"].assign(in_sd=1.0 + run.seed / 100)})
             if run.condition == "grokking" and run.experiment_type == "domain_swap" else run
             for run in made]  # fmt: skip
    custom = compared(twice, primary=["swap_effect"])[0].aggregates.custom
    names = ("standard", "grokking", "grokking − standard")
    assert custom["established"] == [f"swap_effect: {name}" for name in names]
    failed = [replace(run, status="FAILED") if run.condition == "grokking" else run for run in made]
    assert any("grokking" in line and "FAILED" in line for line in compared(failed)[0].diagnostics.warnings)


def test_what_stands_out_beside_the_primary_family_is_not_established():
    result = declared(range(8), delta=0.3)
    tests = result.tables["tests"].frame.set_index("endpoint")
    assert tests.loc["ablation_delta_ood", "p_adj"] <= 0.05
    assert "ablation_delta_ood: grokking" not in result.aggregates.custom["established"]
    lines = [line for line in result.aggregates.custom["summary"] if "change of OOD accuracy" in line]
    assert any("stands out" in line for line in lines)


def test_seven_seeds_cannot_establish_a_primary_family_of_six():
    result = declared(range(7))
    assert "Nothing can be established" in result.aggregates.custom["summary"][0]
    figure = result.figures[0]
    assert figure.name == "primary" and figure.options["xlabel"] == "effect, 95 % each alone"
    assert result.tables["primary"].frame[figure.columns["low"]].notna().all(), "a point alone would look certain"
    assert result.aggregates.custom["established"] == []


def test_a_primary_endpoint_must_be_compared():
    with pytest.raises(ConfigError, match="swap_removed is not among the endpoints"):
        CompareInterventions(primary=["swap_removed"])


def test_what_is_found_in_the_runs_is_listed_and_may_be_refused():
    found = study({"standard": range(4), "grokking": range(4)})
    mixed = [replace(run, code_version=f"v{run.seed}") for run in found]
    result = compared(mixed)[0]
    table = result.tables["completeness"].frame.set_index("check")
    assert table.loc["mixed_code", "admitted"] and "4 versions" in table.loc["mixed_code", "found"]
    assert all("mixed code" in figure.options["note"] for figure in result.figures)
    assert not any("note" in figure.options for figure in compared(found)[0].figures)
    with pytest.raises(ExperimentError, match=r"compare_interventions: mixed_code: .*experiment.allow=\[mixed_code\]"):
        compared(mixed, allow=[])


def test_it_says_what_the_general_comparison_says():
    runs = study({"standard": range(6), "grokking": range(6), "other": range(4)}, delta=0.1)
    mine = compared(runs)[0].tables
    asked = Compare(endpoints=CompareInterventions().endpoints, reference="standard", allow=ALLOW)
    general = perform(asked, RunsSetup(seed=0, stats=STATS, runs=runs), MemoryRecorder()).tables
    for table, names in (
        ("tests", {"training": "group"}),
        ("conditions", {"endpoint": "metric", "training": "group", "n_seeds": "n_units"}),
        ("pairs", {"endpoint": "metric", "training": "group", "seed": "unit"}),
        ("planned", {"endpoint": "metric", "training": "group"}),
    ):
        theirs = general["groups" if table == "conditions" else table].frame
        ours = mine[table].frame.rename(columns=names)[list(theirs.columns)]
        by = [name for name in ("endpoint", "metric", "group", "unit") if name in theirs]
        found, wanted = (each.astype(dict.fromkeys(by, str)).set_index(by).sort_index() for each in (ours, theirs))
        pd.testing.assert_frame_equal(found, wanted, check_dtype=False)
