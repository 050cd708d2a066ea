"""From one store with three studies: every comparison from one command line, its figures at column width too."""

from __future__ import annotations

import pytest

from paribus.cli.main import main
from paribus.figures.draw import draw
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec

pytestmark = pytest.mark.soak
COLUMN = 3.3
CONDITIONS = ("standard", "weight_decay", "init_scale", "grokfast", "weight_decay_init_scale", "weight_decay_grokfast",
              "init_scale_grokfast", "grokking")  # fmt: skip
QUICK = ["stats=quick", "stats.n_bootstrap=100", "stats.n_permutations=99", "stats.n_null=10", "figures.formats=[]"]
SHORTCUT = [
    "-m", "study=shortcut_digits", f"training={','.join(CONDITIONS)}", "seed=range(6)", "model=mlp",
    "data.n_train=100", "data.n_eval=60", "training.epochs=6", "training.n_evaluations=4", "training.n_checkpoints=1",
    "experiment.steps.neurons=null", "tracking.experiment=shortcut", *QUICK,
]  # fmt: skip
LEFT_OUT = ("sweep_second", "heatmap", "main_only", "interference", "interactions", "conditional", "itemsets",
            "coverage", "weapons", "kits", "weapon_groups", "decoder", "split_half", "shuffle_null",
            "report")  # fmt: skip
BUILDS = [
    "-m", "study=builds_small", "seed=1,2", "data.n_builds=400", "slice.sample_size=150",
    "experiment.steps.survey.n_features=20", "experiment.steps.survey.screen_contexts=60",
    "experiment.steps.tokens.influence_contexts=40", "experiment.steps.sweep.placebo_contexts=0",
    "experiment.steps.cores.max_contexts=10", *(f"experiment.steps.{step}=null" for step in LEFT_OUT),
    "tracking.experiment=builds", *QUICK,
]  # fmt: skip
ADDITION = [
    "-m", "study=modular_addition,modular_addition_no_decay,modular_addition_pizza", "seed=range(4)", "data.p=13",
    "experiment.steps.train.epochs=120", "experiment.steps.heads=null", "tracking.experiment=addition", *QUICK,
]  # fmt: skip
CURVE = "experiment.curves=[sweep.head_ood_acc:alpha@direction=between_domain_pc]"
THREE = "training.weight_decay,training.init_scale,training.grokfast"
COMPARISONS = {
    "the preset": ("shortcut", ["experiment=compare_interventions"]),
    "endpoints": ("shortcut", [
        "experiment=compare", "experiment.endpoints=[swap_effect,ablation_delta_ood,raw_ood_accuracy]",
        "experiment.reference=standard", "experiment.primary=[swap_effect]", "experiment.smallest_effect=0.05"]),
    "looks": ("shortcut", [
        "experiment=compare", "experiment.metrics=[final_ood]", "experiment.where=[training=standard|grokking]",
        "experiment.looks=[6,12,24]"]),
    "curves over alpha": ("shortcut", [
        "experiment=compare", "experiment.experiment_type=activation_steering", CURVE,
        "experiment.where=[training=standard|grokking]"]),
    "facets by two": ("shortcut", [
        "experiment=compare", "experiment.experiment_type=activation_steering", CURVE,
        f"experiment.group_by=[{THREE}]", "experiment.facet_by=[training.weight_decay,training.init_scale]"]),
    "a heatmap over two": ("shortcut", [
        "experiment=compare", "experiment.metrics=[final_ood,best_val]",
        "experiment.group_by=[training.weight_decay,training.init_scale]",
        "experiment.where=[training.grokfast=false]"]),
    "features of two models": ("builds", ["experiment=compare_features"]),
    "arms that never end": ("addition", ["experiment=compare_modular_addition"]),
}  # fmt: skip


def test_each_comparison_is_one_command_line(tracked_workdir, capsys):
    for study in (SHORTCUT, BUILDS, ADDITION):
        assert main(study) == 0, capsys.readouterr().err
    for name, (study, words) in COMPARISONS.items():
        assert main([*words, f"tracking.experiment={study}", "figures.formats=[png,pdf]"]) == 0, (
            f"{name}: {capsys.readouterr().err}"
        )
        store = open_store(TrackingSpec(experiment=study), writing=False)
        result = store.result(store.runs()[0].run_id)
        assert result.figures, name
        frames = {table: each.frame for table, each in result.tables.items()}
        for figure in result.figures:
            for width in (None, COLUMN):
                assert draw(figure, frames, width=width).axes, f"{name}: {figure.name}"
