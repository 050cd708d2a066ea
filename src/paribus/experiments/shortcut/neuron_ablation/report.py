"""Puts tables, figures, curves and aggregates of the neuron ablation together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from paribus.experiments.base import Recorder
from paribus.experiments.fitting import headline_split, offers_of
from paribus.experiments.headline import estimate
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut._effects import MEANINGS, add_effects
from paribus.experiments.shortcut._probes import Measured
from paribus.experiments.shortcut._spec import SPLIT_NAMES
from paribus.experiments.shortcut.neuron_ablation.spec import NeuronAblation
from paribus.results.evidence import Evidence
from paribus.results.schema import BANDS, Aggregates, Curve, Figure, Table
from paribus.stats.intervals import SHARE_GAP
from paribus.subspace.concentration import first_k

COLUMNS = {
    **MEANINGS,
    "selected_on_ood": "whether the checkpoint was selected by its accuracy on the OOD split",
    "ranking": "order of the units: by the domain probe (shortcut), by the label probe, or random",
    "ablation": "what the units are set to: zero, their training mean, or another row's value",
    "head_acc": "accuracy of the model without the top k units",
    "delta": "mean paired difference of correctness to k = 0; p_adj is adjusted over the rows of one checkpoint",
    "margin_shift": "mean change of the margin (logit)",
    "domain_probe_frozen": "balanced accuracy of the training domain probe; NaN where the domains are new",
    "domain_probe_refit": "of a domain probe fitted without the units on one half of id_val, scored on the other",
    "null_low": "2.5 % quantile of delta under random sets of k units (null_matched_*: like the top k in mean "
    "activation and head weight)",
    "null_percentile": "percentile of delta among them, 0 to 100; not a p",
}
UNIT_COLUMNS = {
    "shortcut_score": "largest |coefficient| over the domains' one-vs-rest probes on standardised features",
    "label_score": "the same for the classes",
    "shortcut_rank": "place of the unit by shortcut_score, from 0",
    "label_rank": "place of the unit by label_score, from 0",
    "readout_norm": "norm of its centred head weights (linear head), else size of the margin's mean gradient",
}


@dataclass
class Pruned(Measured):
    """What was measured: a row per checkpoint x ranking x ablation x K x split, with the change of correctness.

    Attributes:
        units: Scores and ranks of every unit, by checkpoint.
        chance: Balanced accuracy of guessing the domain.
        width: How many units the site has.
    """

    units: list[pd.DataFrame] = field(default_factory=list)
    chance: float = float("nan")
    width: int = 0


def report(experiment: NeuronAblation, setup: NetworkSetup, recorder: Recorder, measured: Pruned) -> Aggregates:
    """Hand everything over and return the aggregates."""
    table = pd.DataFrame(measured.rows)
    table = add_effects(
        table,
        measured.differences,
        measured.clusters,
        setup,
        recorder,
        family=[int(epoch) for epoch in table["epoch"]],
        bounds=SHARE_GAP,
    )
    description = "One row per checkpoint, ranking, ablation, number of units and split."
    recorder.table(Table("k_sweep", description, Evidence.INTERVENTIONAL, table, COLUMNS))
    says = "One row per checkpoint and unit: what the rankings are made of."
    units = pd.concat(measured.units, ignore_index=True)
    recorder.table(Table("units", says, Evidence.OBSERVATIONAL, units, UNIT_COLUMNS))
    shown = headline_split(experiment.splits, offers_of(setup.contexts))
    last_epoch = measured.rows[-1]["epoch"]
    last = table[(table["epoch"] == last_epoch) & (table["split"] == shown)].reset_index(drop=True)
    _figures(recorder, table, last, shown)
    ranking, ablation = experiment.rankings[0], experiment.ablations[0]
    headline = last[(last["ranking"] == ranking) & (last["ablation"] == ablation)].sort_values("k")
    levels = tuple(float(k) for k in headline["k"])
    recorder.curve(Curve.of(f"head_{shown}_acc", headline, "k", "head_acc"))
    refit = table[(table["epoch"] == last_epoch) & (table["ranking"] == ranking) & (table["ablation"] == ablation)]
    refit = refit[refit["split"] == "id_val"].sort_values("k")
    first: dict[str, Any] = {}
    if len(refit) and refit["domain_probe_refit"].notna().all():
        found = [float(value) for value in refit["domain_probe_refit"]]
        ks = [int(k) for k in refit["k"]]
        first = {
            "first_k": first_k(ks, found, raw=found[0], chance=measured.chance),
            "first_k_threshold": (found[0] + measured.chance) / 2,
        }
        recorder.curve(Curve("domain_probe_refit", levels, tuple(found), "k"))
    most = headline[headline["k"] == _headline_k(levels, first.get("first_k"), measured.width)].iloc[0]
    recorder.metric(f"head_{shown}_acc_raw", float(headline["head_acc_raw"].iloc[0]))
    recorder.metric(f"head_{shown}_acc_ablated", float(most["head_acc"]))
    estimate(recorder, f"{shown}_delta", most["delta"], most["ci_low"], most["ci_high"])
    if first.get("first_k") is not None:
        recorder.metric("first_k", float(first["first_k"]))
    return Aggregates(
        mean_delta=float(most["delta"]),
        std_delta=float(most["std_delta"]),
        n_samples=int(most["n"]),
        n_conditions=len(table),
        custom={
            "site": measured.site,
            "headline_ranking": ranking,
            "headline_ablation": ablation,
            "headline_split": shown,
            "headline_epoch": int(last_epoch),
            "headline_k": int(most["k"]),
            "delta_by_k": {str(int(k)): float(d) for k, d in zip(headline["k"], headline["delta"], strict=True)},
            **first,
            **measured.concentration[last_epoch],
            "selected_on_reported_split": bool(most["selected_on_ood"]),
            "null_kinds": ["random", "matched"] if setup.stats.n_null else [],
            "null_splits": list(experiment.null_splits),
            "n_null": setup.stats.n_null,
            "p_adj_family": "checkpoint",
        },
    )


def _headline_k(levels: tuple[float, ...], first: int | None, width: int) -> float:
    """Return the K that sums the sweep up: the first that halves the domain's trace, else the largest to a quarter."""
    if first and first < width:
        return float(first)
    within = [level for level in levels if 0 < level <= width / 4]
    return max(within) if within else levels[min(1, len(levels) - 1)]


def _figures(recorder: Recorder, table: pd.DataFrame, last: pd.DataFrame, shown: str) -> None:
    several = len(last) < len(table[table["split"] == shown])
    of = f" at epoch {int(last['epoch'].iloc[0])}" if several else ""
    says = f"The rows of k_sweep on {shown}{' at the last checkpoint' if several else ''}, for the figures."
    recorder.table(Table("k_sweep_shown", says, Evidence.INTERVENTIONAL, last, COLUMNS))
    options = {"xlabel": "units ablated (K)", "logx": "auto"}
    change = f"change of {SPLIT_NAMES[shown]} accuracy"
    roles = {"x": "k", "y": "delta", "group": "ranking", "panel": "ablation", **BANDS}
    drawn = Figure.of("curve", "k_sweep_shown", name="k_sweep", **roles)
    says = "Band: 95 % interval over clusters. Hatched: 2.5 to 97.5 % of random sets of K units."
    looks = {**options, "ylabel": change, "hline": 0, "null_label": "random units", "least_span": 0.1}
    recorder.figure(
        drawn.titled(f"Effect of ablating the top K units on {SPLIT_NAMES[shown]} accuracy{of}", says, **looks)
    )
    drawn = Figure.of(
        "curve", "k_sweep_shown", name="k_accuracy_and_auroc", x="k", y=["head_acc", "auroc"], group="ranking",
        panel="ablation",
    )  # fmt: skip
    says = "The AUROC of the margin does not move with a threshold, accuracy does."
    looks = {**options, "ylabel": "accuracy, AUROC", "labels": ["accuracy", "AUROC"], "least_span": 0.1}
    recorder.figure(drawn.titled(f"{SPLIT_NAMES[shown]} accuracy and AUROC without the top K units{of}", says, **looks))
    leakage = table[(table["epoch"] == last["epoch"].iloc[0]) & (table["split"] == "id_val")]
    leakage = leakage[leakage["ablation"] == leakage["ablation"].iloc[0]] if len(leakage) else leakage
    if not len(leakage):
        return
    says = "The rows of k_sweep on id_val with refit probes: how much of domain and label is left."
    recorder.table(Table("k_leakage", says, Evidence.INTERVENTIONAL, leakage.reset_index(drop=True), COLUMNS))
    drawn = Figure.of("curve", "k_leakage", x="k", y=["domain_probe_refit", "label_probe_refit"], panel="ranking")
    says = "Balanced accuracy on held-out id_val rows."
    looks = {**options, "ylabel": "balanced accuracy", "labels": ["domain", "label"], "least_span": 0.1}
    recorder.figure(drawn.titled(f"What a fresh probe still reads without the top K units{of}", says, **looks))
