"""Comparisons of fixed, invented runs for the golden tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from presets import arms, conditions

CURVE = "sweep.acc:alpha@direction=pc"
COMPARISONS: dict[str, dict[str, Any]] = {
    "numbers": {"metrics": ["score"], "columns": ["sweep.acc@alpha=2@direction=pc"], "curves": [CURVE],
                "reference": "a", "primary": ["score"], "smallest_effect": 0.05},
    "cells": {"metrics": ["score"], "curves": [CURVE], "group_by": ["training", "n_train"], "facet_by": ["n_train"]},
    "unpaired": {"metrics": ["score"], "where": ["n_train=100"], "unit": ["own_seed"]},
    "looks": {"metrics": ["score"], "where": ["n_train=100"], "looks": [6, 8, 12]},
    "anytime": {"metrics": ["score"], "where": ["n_train=100"], "anytime": True},
}  # fmt: skip


def names() -> list[str]:
    """Return the cases: comparisons of anything, and the two studies that have one of their own."""
    return [
        *(f"compare.{name}" for name in COMPARISONS),
        "compare_interventions.cells",
        "compare_modular_addition.arms",
    ]


def compared(name: str) -> Any:
    """Return the result of a comparison."""
    from paribus.compare.compare import Compare
    from paribus.compare.compare_interventions import CompareInterventions
    from paribus.compare.compare_modular_addition import CompareModularAddition
    from paribus.experiments.base import perform
    from paribus.experiments.recording import MemoryRecorder
    from paribus.experiments.setup_runs import RunsSetup
    from paribus.stats.spec import StatsSpec

    kind, _, variant = name.partition(".")
    if kind == "compare_interventions":
        endpoints = [
            "swap_effect",
            "swap_removed",
            "ablation_delta_ood",
            "steering_area_acc",
            "steering_margin_slope",
            "raw_ood_accuracy",
        ]
        experiment, runs = (
            CompareInterventions(
                endpoints=endpoints, reference="d0s1", factors=["training.weight_decay", "training.init_scale"]
            ),
            conditions(),
        )
    elif kind == "compare_modular_addition":
        endpoints = ["reached", "val_epoch", "delay", "gradient_symmetricity", "kept_accuracy"]
        experiment, runs = CompareModularAddition(endpoints=endpoints), arms()
    else:
        experiment, runs = Compare(experiment_type="t", allow=["pooled_runs"], **COMPARISONS[variant]), _runs()
    return perform(experiment, RunsSetup(seed=3, stats=StatsSpec(), runs=runs), MemoryRecorder())


def _runs() -> list[Any]:
    from paribus.experiments.setup_runs import CollectedRun

    rng, alphas, found = np.random.default_rng(0), np.arange(-2, 3), []
    for place, (group, effect) in enumerate((("a", 0.0), ("b", 0.2), ("c", 0.05))):
        for size in (100, 300):
            for seed in range(9):
                score = effect + 0.1 * size / 300 + rng.normal(0, 0.1)
                rows = [{"alpha": int(alpha), "direction": direction, "acc": score + effect * alpha / 10}
                        for alpha in alphas for direction in ("pc", "random")]  # fmt: skip
                name = f"{group}{size}-{seed}"
                found.append(
                    CollectedRun(
                        run_id=name, identity=name, experiment_type="t", seed=seed, own_seed=100 * place + seed,
                        condition=group, n_train=size, metrics={"score": score}, tables={"sweep": pd.DataFrame(rows)},
                        params={"data.n_train": size, "data.seed": seed},
                        tags={"data_digest": f"{size}/{seed}", "model_digest": "none"},
                    )
                )  # fmt: skip
    return found
