"""The work of comparing features."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Floats
from paribus.compare._features_over_models import lines_over_models, over_models, within_ends
from paribus.compare._matched_features import matched_features
from paribus.compare._seen_features import Seen, gathered, mean_of_known
from paribus.compare.collect import select
from paribus.compare.compare_features import CompareFeatures
from paribus.errors import ExperimentError
from paribus.experiments.base import Recorder
from paribus.experiments.headline import estimate
from paribus.experiments.setup_runs import RunsSetup
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.stats.matching import correlations, jaccard
from paribus.stats.shares import shares

FEATURES = {
    "model": "the training run of the model, its first digits; its name where it was not trained here",
    "n_edits": "edits of the battery whose effect on it was measured",
    "n_tested": "edits that were tested",
    "n_drivers": "edits that are established to move it: adjusted p within the level, the interval for all without 0",
    "strongest": "the established edit with the largest effect",
    "effect": "its effect, in units of the feature",
    "n_checks": "checks of stability that were run (split_half, shuffle_null)",
    "n_passed": "how many of them passed",
}
SIMILARITY = {
    "r": "correlation of their effects over the edits that both have",
    "n_edits": "how many edits that are",
    "shared_cores": "share of their minimal cores that both have (Jaccard); missing where none were looked for",
}
SUMMARY = {
    "n_features": "features that were looked at",
    "driven": "share of them with an established driver; low and high: Wilson's interval over features",
    "mean_drivers": "mean number of established edits",
    "stable": "share of the checks of stability that passed; missing where none were run",
    "halves_r": "mean correlation of the effects in halves of the data (split_half); missing where none was run",
}
FACTORS = {
    "n_driven": "features of the model that the factor is established to move",
    "share": "their share of the features on which it was tested",
    "n_tested": "features on which it was tested",
}


def run(experiment: CompareFeatures, setup: RunsSetup, recorder: Recorder) -> Aggregates:
    """Compare features; add ``features``, ``similarity``, ``matches``, ``matched``, ``summary``, ``factors``.

    Raises:
        ExperimentError: If no run of the battery is about a feature.
    """
    experiment.check_runs(setup.runs)
    selection = select(setup.runs, experiment.types(), experiment.where)
    for line in (*selection.left_out, *selection.mixed):
        recorder.warn(line)
    level = 1 - setup.stats.confidence
    seen = gathered(selection.runs, experiment.named(), level)
    if not seen:
        raise ExperimentError(
            f"compare_features: no finished run of {', '.join(experiment.named())} is about a feature here"
        )
    _warn_of_edits_measured_again(seen, recorder)
    edits = sorted({edit for each in seen for edit in each.effects})
    matrix = np.array([[each.effects.get(edit, math.nan) for edit in edits] for each in seen])
    similar = correlations(matrix, matrix, experiment.least_entries)
    _hand_over(recorder, seen, similar, matrix, level)
    matched = matched_features(experiment, setup, recorder, seen, matrix, similar, selection.runs)
    summary = _summary(seen, setup)
    recorder.table(Table("summary", "One row per model.", Evidence.COMPARISON, summary, SUMMARY))
    driving = _driving(seen)
    factors = driving[driving["n_driven"] > 0].reset_index(drop=True)
    says = "One row per model and factor: how many features it drives."
    recorder.table(Table("factors", says, Evidence.COMPARISON, factors, FACTORS))
    if len(factors):
        drawn = Figure.of("bars", "factors", name="factors", label="factor", value="n_driven", group="model")
        looks = {"ylabel": "features driven", "sort": "value", "max_rows": 30}
        of, short = _short_names(factors["factor"])
        says = f"Established edits{of} only."
        recorder.figure(drawn.titled("Which factors drive how many features", says, **looks, **short))
    for row in summary.to_dict("records"):
        if not math.isnan(row["driven"]):
            ends = float(row["driven_low"]), float(row["driven_high"])
            estimate(recorder, f"driven_{row['model']}", float(row["driven"]), *ends)
    over = over_models(recorder, setup, seen, summary, driving)
    return Aggregates(
        n_samples=len(seen),
        n_conditions=len(edits),
        custom={
            "n_models": len({each.model for each in seen}),
            "n_features": len(seen),
            "n_edits": len(edits),
            "summary": [*_lines(summary, factors, matched, similar, seen), *lines_over_models(over)],
        },
    )


def _warn_of_edits_measured_again(seen: Sequence[Seen], recorder: Recorder) -> None:
    again = sorted({edit for each in seen for edit in each.again})
    if again:
        recorder.warn(
            f"{', '.join(again[:3])}{', ...' if len(again) > 3 else ''}: measured by several runs of one feature; the "
            "latest counts. Choose others by experiment.where or experiment.runs."
        )


def _hand_over(recorder: Recorder, seen: Sequence[Seen], similar: Floats, matrix: Floats, level: float) -> None:
    rows = []
    for each in seen:
        strongest = max(each.drivers, key=lambda edit: abs(each.drivers[edit]), default=None)
        rows.append(
            {
                "model": each.model, "feature": each.feature, "n_edits": len(each.effects),
                "n_tested": len(each.tested), "n_drivers": len(each.drivers), "strongest": strongest,
                "effect": math.nan if strongest is None else each.drivers[strongest],
                "n_checks": len(each.checks), "n_passed": sum(each.checks),
            }
        )  # fmt: skip
    says = f"One row per model and feature; established at {level:g}."
    recorder.table(Table("features", says, Evidence.COMPARISON, pd.DataFrame(rows), FEATURES))
    names = _names(seen)
    pairs = [
        {
            "a": names[i], "b": names[j], "model_a": seen[i].model, "feature_a": seen[i].feature,
            "model_b": seen[j].model, "feature_b": seen[j].feature, "r": similar[i, j],
            "n_edits": int((np.isfinite(matrix[i]) & np.isfinite(matrix[j])).sum()),
            "shared_cores": _shared(seen[i], seen[j]),
        }
        for i, j in itertools.combinations(range(len(seen)), 2)
    ]  # fmt: skip
    columns = ["a", "b", "model_a", "feature_a", "model_b", "feature_b", "r", "n_edits", "shared_cores"]
    frame = pd.DataFrame(pairs, columns=columns)
    says = "One row per pair of features: how alike the same edits move them."
    recorder.table(Table("similarity", says, Evidence.COMPARISON, frame, SIMILARITY))
    for name, value, title in (
        ("effect_similarity", "r", "How alike the same edits move two features"),
        ("shared_cores", "shared_cores", "Minimal cores that two features share"),
    ):
        if frame[value].notna().any():
            scale = {"reach": 1.0, "diverging": value == "r"}
            drawn = Figure.of("interaction_matrix", "similarity", name=name, a="a", b="b", value=value)
            says = "Correlation over the edits both have." if value == "r" else "Share of the cores of both (Jaccard)."
            recorder.figure(drawn.titled(title, says, value_label=value.replace("_", " "), **scale))


def _names(seen: Sequence[Seen]) -> list[str]:
    """Return the names of features, with their model where there are several."""
    several = len({each.model for each in seen}) > 1
    return [f"{each.feature} ({each.model})" if several else each.feature for each in seen]


def _shared(one: Seen, other: Seen) -> float:
    if one.cores is None or other.cores is None:
        return math.nan
    return jaccard(one.cores, other.cores)


def _summary(seen: Sequence[Seen], setup: RunsSetup) -> pd.DataFrame:
    rows = []
    for model in dict.fromkeys(each.model for each in seen):
        mine = [each for each in seen if each.model == model]
        tested = any(each.tested for each in mine)  # over all contexts there are nothing is
        driven = np.array([[bool(each.drivers)] for each in mine], float)
        found = shares(driven, np.arange(len(mine)), spec=setup.stats)
        checks = [passed for each in mine for passed in each.checks]
        halves = np.array([r for each in mine for r in each.halves])
        rows.append(
            {
                "model": model, "n_features": len(mine), "driven": float(found.share[0]) if tested else math.nan,
                "driven_low": float(found.low[0]) if tested else math.nan,
                "driven_high": float(found.high[0]) if tested else math.nan,
                "mean_drivers": float(np.mean([len(each.drivers) for each in mine])) if tested else math.nan,
                "n_checks": len(checks), "stable": float(np.mean(checks)) if checks else math.nan,
                "halves_r": mean_of_known(halves),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _driving(seen: Sequence[Seen]) -> pd.DataFrame:
    """Return how many features of a model each edit drives that was tested in it, most first."""
    rows: list[dict[str, Any]] = []
    for model in dict.fromkeys(each.model for each in seen):
        mine = [each for each in seen if each.model == model]
        for edit in sorted({edit for each in mine for edit in each.tested}):
            tested = [each for each in mine if edit in each.tested]
            driven = sum(edit in each.drivers for each in tested)
            rows.append(
                {"model": model, "factor": edit, "n_driven": driven, "n_tested": len(tested),
                 "share": driven / len(tested)}
            )  # fmt: skip
    frame = pd.DataFrame(rows, columns=["model", "factor", "n_driven", "n_tested", "share"])
    return frame.sort_values(["model", "n_driven"], ascending=[True, False], kind="stable").reset_index(drop=True)


def _short_names(factors: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """Return the types of factors, in words, and their names without them; nothing if two names would be equal."""
    names = {factor: factor.split(": ", 1)[1] for factor in factors}
    if len(set(names.values())) < len(names):
        return "", {}
    return f" of {' and '.join(sorted({factor.split(': ', 1)[0] for factor in names}))}", {"names": names}


def _lines(
    summary: pd.DataFrame, factors: pd.DataFrame, matched: pd.DataFrame, similar: Floats, seen: Sequence[Seen]
) -> list[str]:
    lines = []
    for row in summary.to_dict("records"):
        within = within_ends(row["driven_low"], row["driven_high"])
        stable = "" if math.isnan(row["stable"]) else f"; {row['stable']:.0%} of {row['n_checks']} checks passed"
        if math.isnan(row["driven"]):
            lines.append(
                f"Model {row['model']}: no edit of its {row['n_features']} features was tested{stable} (summary)."
            )
            continue
        lines.append(
            f"Model {row['model']}: {row['driven']:.0%}{within} of {row['n_features']} features have an established "
            f"driver, {row['mean_drivers']:.1f} on average{stable} (summary)."
        )
    if len(factors):
        top = factors.sort_values("n_driven", ascending=False, kind="stable").iloc[0]
        most = int((factors["n_driven"] == top["n_driven"]).sum())
        where = f" of {top['model']}" if len(summary) > 1 else ""
        also = f", as {'does' if most == 2 else 'do'} {most - 1} more" if most > 1 else ""
        lines.append(
            f"{top['factor']} drives the most: {top['n_driven']} of {top['n_tested']} features{where}{also} (factors)."
        )
    for row in matched.to_dict("records"):
        beside = "" if math.isnan(row["null_low"]) else f", {row['null_low']:.2f} to {row['null_high']:.2f} by chance"
        lines.append(
            f"{row['n']} features of {row['model_a']} and {row['model_b']} are matched by r = {row['mean_r']:.2f} on "
            f"average{beside}; {row['n_mutual']} choose each other (matched)."
        )
    upper = np.triu(np.where(np.isfinite(similar), np.abs(similar), 0.0), 1)
    if len(seen) > 1 and upper.max() > 0:
        i, j = np.unravel_index(int(upper.argmax()), upper.shape)
        names = _names(seen)
        how = "alike" if similar[i, j] > 0 else "opposed"
        lines.append(f"Most {how} are {names[i]} and {names[j]}, r = {similar[i, j]:.2f} (similarity).")
    return lines
