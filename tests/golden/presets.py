"""Invented runs of the two studies that have a comparison of their own, for the golden tables.

Numbers are drawn; one network has no steering, some never arrive, one seed is missing in an arm, so that what is said
of gaps, of censored times and of unpaired arms is kept too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

EPOCHS = (1, 10, 100)
HORIZON = 1000
BETWEEN = "between_domain_pc"


def conditions() -> list[Any]:
    """Return the runs of a shortcut study: four conditions, six seeds each, but one."""
    rng, found = np.random.default_rng(5), []
    for decay, scale in itertools.product((0.0, 1.0), (1.0, 8.0)):
        for seed in range(6):
            if (decay, scale, seed) == (1.0, 8.0, 4):
                continue
            params = {"training.weight_decay": decay, "training.init_scale": scale}
            rows = dict(_classifier(rng, 0.6 + 0.05 * decay, 0.04 * scale / 8))
            if (decay, scale, seed) == (0.0, 1.0, 2):
                del rows["activation_steering"]
            found += _runs(f"d{decay:g}s{scale:g}", seed, rows, params, rng)
    return found


def arms() -> list[Any]:
    """Return the runs of a study of modular addition: three arms, five seeds each."""
    rng, found = np.random.default_rng(6), []
    for place, (decay, attention) in enumerate((("2.0", "1.0"), ("0.0", "1.0"), ("2.0", "0.0"))):
        for seed in range(5):
            arrives = not (place == 1 or (place == 2 and seed == 3))
            train, val = 120.0 + rng.integers(20), 600.0 + 40 * place + rng.integers(200)
            summary = {"train_epoch": train, "val_epoch": val if arrives else math.nan,
                       "delay": val / train if arrives else math.nan, "censored": not arrives,
                       "final_epoch": HORIZON}  # fmt: skip
            read = {"epoch": [HORIZON], "gradient_symmetricity": [0.7 + 0.2 * (place == 2) + rng.normal(0, 0.02)]}
            kept = {"epoch": [HORIZON], "kept_accuracy": [0.2 + rng.normal(0, 0.03)]}
            params = {"experiment.weight_decay": decay, "model.attn_coeff": attention, "experiment.level": "0.99"}
            tables = {
                "train_modular_addition": {"summary": pd.DataFrame([summary])},
                "circuit_metrics": {"circuit_metrics": pd.DataFrame(read)},
                "subspace_isolation": {"isolation_summary": pd.DataFrame(kept)},
            }
            found += _on_network(f"{decay}/{attention}/{seed}", seed, tables, params)
    return found


def _classifier(rng: np.random.Generator, raw: float, effect: float) -> Iterator[tuple[str, dict[str, pd.DataFrame]]]:
    """Yield by type the tables of the runs on one classifier."""

    def near(value: float, sd: float = 0.02) -> float:
        return value + float(rng.normal(0, sd))

    def ends(name: str, value: float, half: float) -> dict[str, float]:
        return {f"{name}_low": value - half, f"{name}_high": value + half}

    yield "train_classifier", {}
    rows = []
    for epoch, method, split in itertools.product(EPOCHS, ("mean_difference", "inlp"), ("id_val", "ood")):
        before, change, ranked = near(raw), near(effect), near(0.0)
        rows.append(
            {"epoch": epoch, "method": method, "split": split, "head_acc_raw": before,
             **ends("head_acc_raw_ci", before, 0.1), "head_acc_ablated": before + change, "delta": change,
             **ends("ci", change, 0.1), "auroc_delta": ranked, **ends("auroc_ci", ranked, 0.05),
             "swap_remaining": near(0.3)}
        )  # fmt: skip
    yield "subspace_ablation", {"ablation": pd.DataFrame(rows)}
    along, alphas = {"epoch": EPOCHS[1], "direction": BETWEEN}, np.linspace(-3, 3, 5)
    sweep = pd.DataFrame({**along, "alpha": alphas, "head_ood_acc": near(raw) - 0.01 * alphas**2})
    response: dict[str, Any] = dict(along)
    for name, column, value in (("slope_in_sd", "slope_ci", 0.5), ("accuracy_area", "accuracy_area_ci", 0.1),
                                ("auroc_area", "auroc_area_ci", 0.1)):  # fmt: skip
        response |= {name: near(value), **ends(column, value, 0.1)}
    yield "activation_steering", {"sweep": sweep, "responses": pd.DataFrame([response])}
    swap = [{"epoch": EPOCHS[1], "split": split, "delta": near(5.0), "in_sd": near(0.5), **ends("in_sd_ci", 0.5, 0.2)}
            for split in ("val", "all")]  # fmt: skip
    yield "domain_swap", {"signed_swap": pd.DataFrame(swap)}


def _runs(
    condition: str, seed: int, rows: Mapping[str, Any], params: Mapping[str, Any], rng: np.random.Generator
) -> Iterator[Any]:
    from paribus.experiments.setup_runs import CollectedRun

    for kind, tables in rows.items():
        name = f"{condition}/{seed}/{kind}"
        numbers = {"peak_val_epoch": 10, "final_epoch": 100, "final_ood": float(rng.uniform(0.5, 0.7)),
                   "best_val": float(rng.uniform(0.6, 0.8))}  # fmt: skip
        yield CollectedRun(
            run_id=name, identity=name, experiment_type=kind, condition=condition, seed=seed, n_train=600,
            params=params, tables=tables, aggregates=numbers if kind == "train_classifier" else {}, code_version="c",
        )  # fmt: skip


def _on_network(name: str, seed: int, tables: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[Any]:
    from paribus.experiments.setup_runs import CollectedRun

    for kind, content in tables.items():
        training = kind == "train_modular_addition"
        run_id = name if training else f"{name}/{kind}"
        yield CollectedRun(
            run_id=run_id, identity=run_id, experiment_type=kind, seed=seed, tables=content, model_run=name,
            params=params if training else {}, code_version="c",
        )  # fmt: skip
