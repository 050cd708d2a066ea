"""Comparison of values of runs between groups: tables of replicates, groups, pairs, tests and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from paribus.compare import figures_of, honesty, sentences
from paribus.compare.admission import Admitted, looked_through
from paribus.compare.compare import CHOOSE, Compare
from paribus.compare.curve_tables import Curves, curve_tables
from paribus.compare.effects import chosen_epochs
from paribus.compare.endpoints import Choice, Unread, readings
from paribus.compare.families import FAMILY, PRIMARY, adjusted
from paribus.compare.group_tables import GROUPS as GROUPED
from paribus.compare.group_tables import cell_table, group_rows, pair_table
from paribus.compare.group_tests import Growth, Tested, pairs_of, tests_of
from paribus.compare.honesty import Finding, Grouping, Placed
from paribus.compare.outcomes import VALUES, Outcome, column, endpoint, metric, value_row
from paribus.compare.planned import PLANNED, planned_lines, planned_table
from paribus.compare.publication import publication_table
from paribus.compare.units import Pooled, unit_table
from paribus.errors import ExperimentError, nearest
from paribus.experiments.base import Recorder
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Table
from paribus.results.words import counted

MOST_GROUPS = 20
ALREADY = Unread("was read with its curve")


def run(experiment: Compare, setup: RunsSetup, recorder: Recorder) -> Aggregates:
    """Compare the runs of ``setup``.

    Raises:
        ExperimentError: If nothing can be compared, or a check finds something that is not admitted.
    """
    found = admitted(experiment, setup.runs)
    for line in found.left_out:
        recorder.warn(line)
    rng = setup.rng("compare")
    choice = Choice(
        epoch=chosen_epochs(found.runs, experiment.choice("at")),
        **{name: experiment.choice(name) for name in CHOOSE},
    )
    outcomes = _outcomes(experiment, choice)
    values, findings = _values(experiment, outcomes, found, recorder)
    curves = curve_tables(experiment, found.placed, choice, setup.stats, rng)
    for line in curves.left_out:
        recorder.warn(f"{line} left out.")
    kind = experiment.experiment_type
    holding = [each for each in found.placed if each.run.experiment_type == kind]
    for name, read in curves.read.items():
        findings += honesty.without_values(holding, read, name)
    tables = [each for each in (values, curves.means) if len(each)]
    values = _in_order(experiment, pd.concat(tables, ignore_index=True)) if tables else values
    honesty.admit(experiment.type, findings, experiment.allowed())
    if values.empty:
        raise ExperimentError(
            f"compare: none of {len(found.runs)} finished runs has {', '.join(experiment.compared())} and all of "
            f"{', '.join((*experiment.group_by, *experiment.unit))}"
        )
    for finding in findings:
        recorder.warn(f"{finding.check}: {finding.text}; admitted.")
    pooled = Pooled(setting=", ".join(found.apart))
    units, uneven = unit_table(values, names=pooled)
    means = [Outcome(each.text, f"mean of {each.label}", kind, lambda _: ALREADY) for each in experiment.whole_curves()]
    known = {each.name: each for each in (*outcomes, *means)}
    compared = {name: known[name] for name in pd.unique(units["metric"])}
    groups = group_rows(units, compared, spec=setup.stats, rng=rng).frame[[*GROUPED]]
    pairs = pairs_of(experiment.type, list(pd.unique(units["group"])), experiment.reference)
    growth = Growth(tuple(experiment.looks), experiment.anytime)
    tested = tests_of(values, compared, pairs, setup=setup, rng=rng, growth=growth, names=pooled)
    for line in (*uneven, *tested.remarks):
        recorder.warn(line)
    (tests,) = adjusted([tested.rows], experiment.primary, confidence=setup.stats.confidence)
    tests = tests.drop(columns="unit").rename(columns={"training": "group"})
    note = honesty.admitted_note(findings, experiment.allowed())
    planned = planned_table(tests, tested.arms, experiment.smallest_effect, setup.stats.confidence)
    _hand_over(experiment, recorder, setup, (values, units, groups), tests, tested, planned, curves, findings, note)
    return _aggregates(experiment, values, groups, tests, planned, note, setup.stats.confidence)


def admitted(experiment: Compare, runs: Sequence[CollectedRun]) -> Admitted:
    """Return the runs that are compared, if every finding about them is admitted; reads no file of a run.

    Raises:
        ExperimentError: If there is none, or a check finds something that is not admitted.
    """
    known = {run.experiment_type for run in runs}
    for kind in experiment.compared_types():
        if kind not in known:
            raise ExperimentError(f"compare: no run of {kind!r}; {nearest(kind, known)}")
    grouping = Grouping(tuple(experiment.group_by), tuple(experiment.unit), tuple(experiment.where))
    found = looked_through(experiment, runs, experiment.compared_types(), grouping, experiment.named())
    honesty.admit(experiment.type, found.findings, experiment.allowed())
    return found


def _outcomes(experiment: Compare, choice: Choice) -> list[Outcome]:
    """Return the numbers that are compared, in the order in which they were named."""
    kind = experiment.experiment_type
    return [
        *(metric(name, kind) for name in experiment.metric_names()),
        *(endpoint(name, choice) for name in experiment.endpoints),
        *(column(each, kind, choice) for each in experiment.numbers()),
    ]


def _values(
    experiment: Compare, outcomes: Sequence[Outcome], found: Admitted, recorder: Recorder
) -> tuple[pd.DataFrame, list[Finding]]:
    """Return one row per run and number, and the findings: those made before and those made while reading."""
    rows: list[dict[str, Any]] = []
    findings = list(found.findings)
    for outcome in outcomes:
        mine = [each for each in found.placed if each.run.experiment_type == outcome.kind]
        read, unread = readings((each, outcome.read(each.run)) for each in mine)
        rows += [value_row(outcome.name, each, value) for each, value in read]
        for why, n in sorted(unread.items()):
            recorder.warn(f"{counted(n, 'run')} of {outcome.kind} {why} left out.")
        if mine and not read:
            _refuse_unread(experiment, outcome, mine, unread)
        findings += honesty.without_values(mine, {each.run.run_id for each, _ in read}, outcome.name)
    table = pd.DataFrame(rows, columns=list(VALUES))
    if table["group"].nunique() > MOST_GROUPS:
        raise ExperimentError(f"compare: {table['group'].nunique()} groups, at most {MOST_GROUPS} can be compared")
    return table, findings


def _in_order(experiment: Compare, table: pd.DataFrame) -> pd.DataFrame:
    """Return the values sorted by metric in the order named, then by group and unit as numbers."""
    places = {name: place for place, name in enumerate(experiment.compared())}
    keys = [
        (places[metric], honesty.in_order(group), honesty.in_order(unit))
        for metric, group, unit in zip(table["metric"], table["group"], table["unit"], strict=True)
    ]
    return table.iloc[sorted(range(len(keys)), key=lambda i: keys[i])].reset_index(drop=True)


def _refuse_unread(experiment: Compare, outcome: Outcome, mine: Sequence[Placed], unread: Mapping[str, int]) -> None:
    """Raise for a number that no run has: the name is wrong, or the condition does not select one row.

    Raises:
        ExperimentError: Always.
    """
    if outcome.name in experiment.metric_names():
        names = {key for each in mine for key in (*each.run.metrics, *each.run.aggregates)}
        raise ExperimentError(
            f"compare: none of {len(mine)} finished runs of {outcome.kind!r} has {outcome.name}; "
            f"{nearest(outcome.name, names)}"
        )
    why = max(unread, key=lambda each: unread[each]).strip("()")
    raise ExperimentError(f"compare: {outcome.name}: none of {len(mine)} runs of {outcome.kind!r} holds it: {why}")


def _hand_over(
    experiment: Compare,
    recorder: Recorder,
    setup: RunsSetup,
    described: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
    tests: pd.DataFrame,
    tested: Tested,
    planned: pd.DataFrame,
    curves: Curves,
    findings: Sequence[Finding],
    note: str,
) -> None:
    """Add the tables and figures to the result."""
    values, units, groups = described
    kind, confidence = Evidence.COMPARISON, setup.stats.confidence
    pairs = pair_table(tests, tested.arms)
    cells = cell_table(groups, experiment.group_by)
    publication = publication_table(groups, tests, experiment.reference, confidence)
    tables = [
        Table("runs", "One row per run and metric.", kind, values.drop(columns="setting")),
        Table("units", "One row per metric, group and unit: the mean over its runs.", kind,
              units.drop(columns="n_settings")),
        Table("groups", "Mean of each metric in each group, over units.", kind, groups, GROUPS),
        Table("tests", "Pairs of groups; the floor of p first. See p_adj for the family.", kind, tests, TESTS),
        Table("pairs", "Paired differences of units that both groups have.", kind, pairs),
        Table("planned", "How many units a study would need to decide, per test.", kind, planned, PLANNED),
        honesty.completeness(findings, experiment.allowed()),
        Table("publication", "The comparison as a paper shows it, intervals in brackets.", kind, publication),
    ]  # fmt: skip
    if not tested.looks.empty:
        tables.append(
            Table("looks", "The test after every look, in the order of the units.", kind, tested.looks, LOOKS)
        )
    if not cells.empty:
        tables.append(Table("cells", "Means by the two params that make a group.", kind, cells))
    if not curves.groups.empty:
        tables += [
            Table("curve_units", "Curves of every unit: the mean over its runs.", kind, curves.units),
            Table("curves", "Curves of every group, with intervals of each point alone.", kind, curves.groups, CURVES),
        ]
    for table in tables:
        recorder.table(table)
    drawn = figures_of.figures(experiment, {table.name: table.frame for table in tables}, confidence, note)
    for figure in drawn:
        recorder.figure(figure)


GROUPS: Mapping[str, str] = {
    "ci_low": "lower end of the interval of the mean, over units",
    "ci_method": "sign_flip: the means that its exact test does not reject; student_t below the units that it needs",
    "sd": "standard deviation over units",
    "iqm": "interquartile mean: of the middle half of the units",
}
TESTS: Mapping[str, str] = {
    "smallest_p": "smallest p the design can reach, whatever the data",
    "smallest_p_adj": "the same after adjustment, were all other tests unremarkable",
    "design": "paired_sign_flip where both groups have the same units, label_permutation otherwise, fisher for yes or "
    "no; declared_looks and sign_flip_e_process where units were added while looking",
    "ci_low": "lower end of the interval that inverts the test of p",
    "ci_adj_low": "lower end at the level at which the row was judged",
    "p": "two-sided, exact where it can be enumerated; of declared looks the smallest level that rejects by now",
    "p_adj": "adjusted by Holm over all rows; with primary, Holm over its rows and Benjamini-Hochberg over the others",
    "improvement": "chance that a unit of the group is above its pair (or above a unit of the reference), ties half",
    "improvement_low": "lower end of its interval: Wilson for pairs, Newcombe otherwise; it covers .95 on average over "
    "true chances, less where groups differ in spread",
    "d_z": "mean of the paired differences in their sd; missing where units are not paired",
    "hedges_g": "difference of means in pooled sd, small-sample corrected",
    "flag": "units that one group lacks, why there is no test, or that p takes unequal spreads to be equal",
}
LOOKS: Mapping[str, str] = {
    "n": "units by then",
    "level": "of the level, how much declared looks have spent by then; missing without a plan",
    "mean": "mean difference of these units",
    "p": "reject where it is at most `level`, and without a plan where it is at most the level of the whole study",
    "rejects": "whether it rejects by then, before adjustment over tests",
}
CURVES: Mapping[str, str] = {
    "n": "units with a value at this level",
    "ci_low": "lower end of the interval at this level alone: not for the curve as a whole",
    "panel": "what makes the panel",
}


def _aggregates(
    experiment: Compare,
    values: pd.DataFrame,
    groups: pd.DataFrame,
    tests: pd.DataFrame,
    planned: pd.DataFrame,
    note: str,
    confidence: float,
) -> Aggregates:
    named = tests.rename(columns={"group": "training"})
    declared = named[named[FAMILY] == PRIMARY] if experiment.primary else named
    what = "seeds" if experiment.unit == ["seed"] else "units"
    lines = [note] if note else []
    lines += sentences.reach(declared, confidence, what)
    lines += [
        f"{row['group']}: {row['metric']} {sentences.number(float(row['mean']))} "
        f"({sentences.interval(row, confidence)}; n = {int(row['n_units'])})."
        for _, row in groups.iterrows()
    ]
    lines += [sentences.contrast_line(row, confidence, what) for _, row in named.iterrows()]
    lines += planned_lines(tests, planned, experiment.smallest_effect, confidence)
    return Aggregates(
        n_samples=int(values["run_id"].nunique()),
        n_conditions=int(values["group"].nunique()),
        custom=sentences.judged(lines, declared, tests, confidence),
    )
