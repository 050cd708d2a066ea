"""Compares training conditions over the runs of a study: effects, tests over seeds, one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from paribus.compare import honesty, sentences
from paribus.compare.admission import Admitted, looked_through
from paribus.compare.arms import Unadjusted
from paribus.compare.collect import candidates
from paribus.compare.compare_interventions import CompareInterventions
from paribus.compare.declared import ENDPOINTS
from paribus.compare.effects import (
    ablation_curves,
    as_values,
    chance_of,
    chosen_epochs,
    described,
    run_effects,
    steering_curves,
)
from paribus.compare.endpoints import Choice
from paribus.compare.erasers import ENDPOINT as SWAP_REMOVED
from paribus.compare.erasers import eraser_rows
from paribus.compare.factors import factor_table
from paribus.compare.families import FAMILY, PRIMARY, adjusted, differences, primary_table
from paribus.compare.group_tables import BESIDE, group_rows, pair_table
from paribus.compare.group_tests import Tested, tests_of
from paribus.compare.honesty import Grouping
from paribus.compare.outcomes import Outcome, endpoint
from paribus.compare.planned import PLANNED, planned_table
from paribus.compare.publication import publication_table
from paribus.compare.statements import statements
from paribus.compare.units import VALUE, Pooled, unit_table
from paribus.errors import ExperimentError, nearest
from paribus.experiments.base import Recorder
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.results.evidence import Evidence
from paribus.results.schema import INTERVAL, Aggregates, Figure, Table, ends

SAID = (honesty.CODE, honesty.DATA, honesty.MODELS, honesty.SELECTED, honesty.SHARED)
"""Findings that give a warning; for the others the comparison has sentences of its own."""
EFFECTS: Mapping[str, str] = {
    "unit": "unit of value",
    "value": "the endpoint in this run",
    "ci_low": "lower end of the run's own interval, over its contexts; missing where the run gives none",
    "ci_high": "upper end",
    "auroc_change": "change of the AUROC by the same edit, where the endpoint is an accuracy that a threshold moves",
    "epoch": "checkpoint it was read at",
}
UNITS: Mapping[str, str] = {
    "value": "mean over the training-set sizes that all seeds of the condition have",
    "n_sizes": "how many sizes that are",
}
TESTS: Mapping[str, str] = {
    "smallest_p": "smallest p the design can reach, whatever the data",
    "smallest_p_adj": "the same after adjustment, were all other tests unremarkable",
    "design": "paired_sign_flip where both arms have the same seeds, label_permutation otherwise",
    "difference": "mean of the condition minus mean of the reference, over seeds",
    "ci_low": "lower end of the interval that inverts the test of p: 0 is outside exactly where p <= 1 - confidence",
    "ci_method": "how: sign_flip or paired_sign_flip, label_permutation; student_t or welch_t where the test cannot "
    "reject with so few runs, and no claim rests on it; none below four runs or where all units are equal",
    "ci_adj_low": "lower end at the level at which the row was judged: 0 is outside exactly where p_adj <= "
    "1 - confidence; none where the design cannot reach that level",
    "p": "two-sided, exact where it can be enumerated",
    "p_adj": "adjusted over the family: Holm; the exploratory family Benjamini-Hochberg. Without a column family the "
    "table is one",
    "family": "primary: the tests declared before looking, over all tables; exploratory: all others, which establish "
    "nothing",
    "p_mann_whitney": "exact Mann-Whitney p of unpaired arms, beside the p that is adjusted",
    "auroc_change": "the AUROC beside an accuracy, over the same units, with auroc_ci_low, auroc_ci_high and auroc_p; "
    "not adjusted. Where accuracy moves and the AUROC does not, the threshold moved",
    "flag": "seeds or sizes that one arm lacks",
    "sd": "standard deviation over seeds",
    "iqm": "interquartile mean: of the middle half of the seeds",
    "improvement": "chance that a seed of the condition is above its pair (or a seed of the reference), ties half",
    "improvement_low": "lower end of its interval: Wilson for pairs, Newcombe otherwise",
    "d_z": "mean of the paired differences in their sd; missing where seeds are not paired",
    "hedges_g": "difference of means in pooled sd, small-sample corrected",
}

PRIMARY_COLUMNS: Mapping[str, str] = {
    "row": "the condition whose mean it is, or the two whose difference it is",
    "n": "seeds",
    "value": "mean over seeds, or mean difference",
}


def run(experiment: CompareInterventions, setup: RunsSetup, recorder: Recorder) -> Aggregates:
    """Compare the runs of ``setup``; add tables, tests and the figure.

    Raises:
        ExperimentError: If there is nothing to compare, or something the settings refuse.
    """
    found = _admitted(experiment, setup.runs)
    epochs = chosen_epochs(found.runs, experiment.at)
    choice = Choice(
        experiment.method, experiment.direction, experiment.layer, experiment.at, epochs, experiment.level
    )  # fmt: skip
    effects, notes = run_effects(found.runs, experiment.endpoints, choice, experiment.reference)
    steered, unread = steering_curves(found.runs, choice)
    curves = ablation_curves(found.runs, choice), steered
    if effects.empty and all(curve.empty for curve in curves):
        said = f"; {notes[0]}" if notes else ""
        raise ExperimentError(
            "compare_interventions: no finished run to compare; it reads runs of "
            f"{', '.join(experiment.reads())} that name their training condition, and found {len(setup.runs)} runs "
            f"in all{said}"
        )
    note = _completeness(experiment, found, recorder)
    rng, spec = setup.rng("compare_interventions"), setup.stats
    values = as_values(effects)
    units, uneven = unit_table(values, (VALUE, BESIDE), names=NAMES)
    outcomes = {name: endpoint(name, choice) for name in experiment.endpoints}
    within = group_rows(units, outcomes, spec=spec, rng=rng)
    _reference(experiment, effects, recorder)
    others = [name for name in pd.unique(effects["training"]) if name != experiment.reference]
    pairs = [(name, experiment.reference) for name in others]
    tested = tests_of(values, outcomes, pairs, setup=setup, rng=rng, names=NAMES)
    if tested.remarks and experiment.missing_seeds == "refuse":
        raise ExperimentError(f"compare_interventions: {tested.remarks[0]} missing_seeds=flag compares what is there")
    main, crowded = factor_table(effects, found.runs, experiment.endpoints, experiment.factors, spec=spec, rng=rng)
    erased = _other_erasers(experiment, found.runs, choice, setup)
    named = [Unadjusted(_named(each.frame, outcomes), each.intervals) for each in (within, *erased)]
    conditions, tests, factors, *erasers = adjusted(
        (named[0], tested.rows, main, *named[1:]), experiment.primary, confidence=spec.confidence
    )
    for line in dict.fromkeys((*notes, *unread, *uneven, *tested.remarks, *crowded)):
        recorder.warn(line)
    if experiment.primary:
        _primary(experiment, recorder, primary_table(conditions, tests), described(found.runs), spec.confidence, note)
    kind, seeds = Evidence.COMPARISON, _named(units, outcomes)
    for table in (
        Table("run_effects", "One row per run and declared endpoint.", kind, effects, EFFECTS),
        Table("units", "One row per endpoint, condition and seed.", kind, seeds, UNITS),
        Table("conditions", "Each endpoint within each condition, over seeds; p against no effect.", kind, conditions,
              TESTS),
        Table("tests", "Each condition against the reference, over seeds.", kind, tests, TESTS),
        *([Table("factors", "Main effects within seed and the other factors.", kind, factors, TESTS)]
          if len(factors) else []),
        Table("ablation_curves", "OOD accuracy over epochs, raw and ablated, of every run.", kind, curves[0]),
        Table("steering_curves", "OOD accuracy over alpha of every run.", kind, curves[1]),
        *_planned((conditions, factors, *erasers), tests, tested, experiment.reference, spec.confidence),
        *(Table("other_erasers", "Share of the swap effect that other erasers remove.", kind, table, TESTS)
          for table in erasers),
    ):  # fmt: skip
        recorder.table(table)
    chance = chance_of(found.runs) if experiment.chance is None else experiment.chance
    _figures(experiment, recorder, effects, tests, described(found.runs), chance, spec.confidence, note)
    return _aggregates(experiment, effects, (conditions, tests, factors, *erasers), recorder, spec.confidence)


NAMES = Pooled("seeds", "n_train", "sizes")


def _named(table: pd.DataFrame, outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """Return a table of groups or units under the names of the study, with label and unit of each endpoint."""
    named = table.rename(columns={"metric": "endpoint", "group": "training", "unit": "seed", "n_units": "n_seeds",
                                  "n_settings": "n_sizes"}).drop(columns="n_runs", errors="ignore")  # fmt: skip
    place = list(named.columns).index("endpoint") + 1
    for column in ("unit", "label"):
        named.insert(place, column, [getattr(outcomes[name], column) for name in named["endpoint"]])
    return named


def _other_erasers(
    experiment: CompareInterventions, runs: Sequence[CollectedRun], choice: Choice, setup: RunsSetup
) -> list[Unadjusted]:
    """Return the share that other erasers remove, where the share removed by one is a primary endpoint."""
    if SWAP_REMOVED not in experiment.primary:
        return []
    rng = setup.rng("compare_interventions/erasers")
    return [eraser_rows(runs, choice, experiment.reference, spec=setup.stats, rng=rng)]


def _admitted(experiment: CompareInterventions, runs: Sequence[CollectedRun]) -> Admitted:
    """Return the runs that are compared, if every finding about them is admitted.

    Raises:
        ExperimentError: If a check finds something that is not admitted.
    """
    types = experiment.types()
    sized = all(run.n_train is not None for run in candidates(runs, types) if run.condition is not None)
    grouping = Grouping(("training",), ("n_train", "seed") if sized else ("seed",), tuple(experiment.where))
    found = looked_through(experiment, runs, types, grouping)
    honesty.refuse_mixed_code(experiment.type, found.findings, experiment.mixed_code)
    honesty.admit(experiment.type, found.findings, experiment.allow)
    return found


def _completeness(experiment: CompareInterventions, found: Admitted, recorder: Recorder) -> str:
    """Add the table of checks and findings, and return the note that figures carry about them."""
    for line in found.left_out:
        recorder.warn(line)
    for finding in found.findings:
        if finding.check in SAID:
            recorder.warn(f"{finding.check}: {finding.text}; admitted.")
    recorder.table(honesty.completeness(found.findings, experiment.allow))
    # the figure is declared to show endpoints of both kinds of evidence
    shown = [finding for finding in found.findings if finding.check != honesty.EVIDENCE]
    return honesty.admitted_note(shown, experiment.allow)


def _planned(
    beside: Sequence[pd.DataFrame], tests: pd.DataFrame, tested: Tested, reference: str, confidence: float
) -> list[Table]:
    """Return the paired differences, the planned numbers of seeds and the table for publication."""
    kind = Evidence.COMPARISON
    groups = beside[0].rename(columns={"endpoint": "metric", "training": "group", "n_seeds": "n_units"})
    mine = tests.drop(columns="unit").rename(columns={"training": "group"})
    names = {"metric": "endpoint", "group": "training", "unit": "seed"}
    pairs = pair_table(mine, tested.arms).rename(columns=names)
    planned = planned_table(mine, tested.arms, 0.0, confidence, beside).rename(columns=names)
    shown = publication_table(groups, mine, reference, confidence)
    return [
        Table("pairs", "Paired differences of seeds that both conditions have.", kind, pairs),
        Table("planned", "How many seeds a study would need to decide, per test.", kind, planned, PLANNED),
        Table("publication", "The comparison as a paper shows it, intervals in brackets.", kind, shown),
    ]


def _reference(experiment: CompareInterventions, effects: pd.DataFrame, recorder: Recorder) -> None:
    present = sorted(set(effects["training"]))
    if present and experiment.reference not in present:
        recorder.warn(
            f"No finished run of the reference condition {experiment.reference!r}: nothing could be tested "
            f"({nearest(experiment.reference, present)})."
        )
    elif len(present) == 1:
        recorder.warn(f"Only the condition {present[0]!r} has finished runs: nothing could be tested.")


def _primary(
    experiment: CompareInterventions, recorder: Recorder, rows: pd.DataFrame, what: str, confidence: float, note: str
) -> None:
    """Add the table of the primary family and its figure, the first of the run."""
    if rows["value"].isna().all():
        return
    says = "The tests declared before looking: each endpoint within each condition against 0, and their differences."
    recorder.table(Table("primary", says, Evidence.COMPARISON, rows, {**TESTS, **PRIMARY_COLUMNS}))
    reached, around = _around(rows)
    drawn = Figure.of("forest", "primary", label="row", value="value", panel="label", unit="unit", p="p_adj", **around)
    percent = f"{100 * confidence:g} %"
    told = (
        f"intervals and p adjusted by Holm over the {len(rows)} tests ({percent} for all together)"
        if reached
        else f"intervals of each row alone: so few seeds cannot reach the level of the {len(rows)} tests, which p has"
    )
    recorder.figure(
        drawn.titled(
            f"Declared before looking: {what}eraser {experiment.method}",
            f"Means over seeds and differences, with {told}; dashed: no effect.",
            xlabel="effect" if reached else f"effect, {percent} each alone",
            **({"note": note} if note else {}),
        )
    )


def _figures(
    experiment: CompareInterventions,
    recorder: Recorder,
    effects: pd.DataFrame,
    tests: pd.DataFrame,
    what: str,
    chance: float | None,
    confidence: float,
    note: str,
) -> None:
    noted = {"note": note} if note else {}
    options: dict[str, Any] = {"conditions": _order(experiment, effects), "confidence": confidence, **noted}
    if chance is not None:
        options["hline"] = chance
    if experiment.accuracy_limits is not None:
        options["ylim"] = list(experiment.accuracy_limits)
    curves = ("ablation_curves", "steering_curves")
    same = ("n_train", "seed", "epoch", "raw", "ablated", "alpha", "accuracy")
    roles = {"condition": "training", **{role: role for role in same}}
    drawn = Figure.of("intervention_comparison", *curves, name="figure_intervention_comparison", **roles)
    says = (
        f"Top: OOD accuracy over training, unedited (solid) and with the {experiment.method} subspace projected out "
        f"(dashed). Bottom: OOD accuracy along {experiment.direction}; where the site feeds a linear head this is "
        "the threshold curve of the margins. One thin curve per run; mean and t band only where every run of "
        "the group was measured."
    )
    title = f"The shortcut under intervention, by training condition: {what}eraser {experiment.method}"
    recorder.figure(drawn.titled(title, says, **options))
    by_endpoint = {"panel": "label", "unit": "unit"}
    if not effects.empty:
        roles = {"x": "training", "y": "value", "pair": "seed", "mean": "mean", **by_endpoint, **INTERVAL}
        drawn = Figure.of("strip", "units", "conditions", name="endpoints", **roles)
        says = (
            "Grey lines join seeds that several conditions share; a seed's training-set sizes are averaged. "
            "Bars: mean over seeds with the interval of the table `conditions`."
        )
        recorder.figure(drawn.titled("Declared endpoints, one point per seed", says, confidence=confidence, **noted))
    if tests["difference"].notna().any():
        drawn, says, xlabel = _differences(tests, confidence, by_endpoint)
        recorder.figure(
            drawn.titled(f"Difference from {experiment.reference}, over seeds", says, xlabel=xlabel, **noted)
        )


def _around(tests: pd.DataFrame) -> tuple[bool, Mapping[str, str]]:
    """Return whether any row has an interval at the adjusted level, and the roles of the interval to draw.

    Where none has, each row's unadjusted one is drawn: a point without any interval would look certain.
    """
    reached = bool(tests["ci_adj_low"].notna().any())
    return reached, ends("ci_adj") if reached else INTERVAL


def _differences(tests: pd.DataFrame, confidence: float, by_endpoint: Mapping[str, str]) -> tuple[Figure, str, str]:
    """Return the figure of the differences, its caption and the label of its axis."""
    reached, around = _around(tests)
    roles = {"label": "training", "value": "difference", "p": "p_adj", **by_endpoint, **around}
    drawn = Figure.of("forest", "tests", name="differences", **roles)
    if reached:
        return drawn, (
            "Mean difference with the interval at the level of the adjustment over its family, as p is; none where "
            "so few seeds cannot reach that level."
        ), "difference"  # fmt: skip
    return drawn, (
        "Mean difference with the interval of each row alone: so few seeds cannot reach the level of the adjustment, "
        "which p has."
    ), f"difference, {100 * confidence:g} % each alone"  # fmt: skip


def _order(experiment: CompareInterventions, effects: pd.DataFrame) -> list[str]:
    others = sorted(set(effects["training"]) - {experiment.reference})
    return [experiment.reference, *(others or (["grokking"] if experiment.reference == "standard" else []))]


def _aggregates(
    experiment: CompareInterventions,
    effects: pd.DataFrame,
    tables: Sequence[pd.DataFrame],
    recorder: Recorder,
    confidence: float,
) -> Aggregates:
    conditions, tests, factors, *erasers = tables
    if experiment.primary:
        others = erasers[0] if erasers else pd.DataFrame({"training": [], FAMILY: []})
        declared = {name: ENDPOINTS[name].label for name in experiment.primary}
        lines = statements(
            conditions, tests, others, factors,
            declared=declared, method=experiment.method, confidence=confidence,
        )  # fmt: skip
    else:
        lines = sentences.reach(tests, confidence)
        lines += [sentences.condition_line(row, confidence) for _, row in conditions.iterrows()]
        lines += [sentences.contrast_line(row, confidence) for _, row in tests.iterrows()]
        lines += [sentences.factor_line(row, confidence) for _, row in factors.iterrows()]
    judged = tests.assign(row=tests["training"])
    if experiment.primary:
        both = pd.concat([conditions.assign(row=conditions["training"]), tests.assign(row=differences(tests))])
        judged = both[both[FAMILY] == PRIMARY]
    established = [
        f"{row['endpoint']}: {row['row']}" for _, row in judged.iterrows() if sentences.is_established(row, confidence)
    ]
    for _, row in tests.iterrows():
        if row["difference"] == row["difference"]:
            recorder.metric(f"{row['endpoint']}/{row['training']}_minus_{row['reference']}", float(row["difference"]))
    return Aggregates(
        n_samples=int(effects["run_id"].nunique()),
        n_conditions=int(effects["training"].nunique()),
        custom={
            "summary": lines,
            "n_seeds": {str(c): int(rows["seed"].nunique()) for c, rows in effects.groupby("training")},
            "n_established": len(established),
            "established": established,
            "smallest_p": None if tests["smallest_p"].isna().all() else float(tests["smallest_p"].min()),
        },
    )
