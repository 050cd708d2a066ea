"""Compares arms of trainings on modular addition over their seeds."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from paribus.compare import honesty, sentences
from paribus.compare.admission import Admitted, looked_through
from paribus.compare.arms import ArmComparison
from paribus.compare.compare_modular_addition import (
    LATENESS,
    OF_HEADS,
    REACHED,
    READ,
    TRAINING,
    CompareModularAddition,
)
from paribus.compare.endpoints import Unread, chosen_rows
from paribus.compare.families import adjusted
from paribus.compare.group_tables import group_rows
from paribus.compare.group_tests import pairs_of, tests_of
from paribus.compare.honesty import Grouping
from paribus.compare.outcomes import Outcome
from paribus.compare.several import differing
from paribus.compare.units import Pooled, unit_table
from paribus.compare.values import value_of
from paribus.errors import ExperimentError
from paribus.experiments.base import Recorder
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.results.endpoint import SHARE
from paribus.results.evidence import Evidence
from paribus.results.schema import INTERVAL, Aggregates, Figure, Table
from paribus.stats import few
from paribus.stats.bootstrap import Interval
from paribus.stats.censored import gehan
from paribus.stats.intervals import NONE
from paribus.stats.spec import StatsSpec

RANKS = Interval(math.nan, math.nan, f"{NONE}: ranks of censored times have no difference of means")
LABELS: Mapping[str, str] = {
    REACHED: "held-out pairs are answered",
    **LATENESS,
    **{name: endpoint.label for name, (_, endpoint) in READ.items()},
}
NAMES = Pooled("seeds")
NOTHING: Mapping[str, Any] = {"mean": math.nan, "ci_low": math.nan, "ci_high": math.nan, "ci_method": NONE}
"""Flag of an endpoint that no run of an arm has."""


def _already(_: CollectedRun) -> Unread:
    return Unread("is read with its training")


OUTCOME: Mapping[str, Outcome] = {
    REACHED: Outcome(REACHED, LABELS[REACHED], TRAINING, _already, SHARE),
    **{name: Outcome(name, LABELS[name], TRAINING, _already) for name in LATENESS},
    **{name: Outcome(name, each.label, kind, _already, each.bounds) for name, (kind, each) in READ.items()},
}
"""What is compared."""
OUTCOMES = {
    "arm": "params of the training that make an arm",
    "seed": "seed of network and split; equal seeds are paired",
    "horizon": "epochs trained: where held-out pairs are not answered, they are not up to here",
    "train_epoch": "first evaluated epoch at which training pairs are answered; missing: never",
    "val_epoch": "the same of held-out pairs; missing: never within the horizon (censored)",
    "delay": "val_epoch / train_epoch; missing where either is",
    "censored": "whether held-out pairs were not answered",
    "shown_epoch": "val_epoch, or the horizon where censored, for the figure",
    "state": "answered, or never within the horizon",
    "run_id": "the training",
}
TESTS = {
    "design": "the test: paired_sign_flip (same seeds), label_permutation, fisher (yes/no), or gehan (ranks, a "
    "censored time above all that it is known to be longer than)",
    "mean": "mean over runs; missing for what is censored",
    "p_later": "share of pairs of runs in which the arm is later than the reference, ties half; only for gehan",
    "p_adj": "adjusted in the row's family",
    "family": "primary (Holm) or exploratory (Benjamini-Hochberg)",
}


@dataclass(frozen=True)
class _Arms:
    """The trainings of every arm, and the endpoints of each.

    Attributes:
        outcomes: One row per training.
        values: One row per training and endpoint of the steps after it: endpoint, arm, seed, value.
    """

    outcomes: pd.DataFrame
    values: pd.DataFrame

    @property
    def read(self) -> pd.DataFrame:
        """The endpoints of each training, in the columns of every comparison: an arm is a group, a seed a unit."""
        first = {"metric": REACHED, "group": self.outcomes["arm"], "unit": self.outcomes["seed"], "yes_no": True,
                 "value": 1.0 - self.outcomes["censored"].astype(float)}  # fmt: skip
        names = {"endpoint": "metric", "arm": "group", "seed": "unit"}
        after = self.values[[*names, "value"]].rename(columns=names).assign(yes_no=False)
        return pd.concat([pd.DataFrame(first), after], ignore_index=True).assign(setting=None)

    def times(self, endpoint: str, arm: str) -> tuple[pd.Series[float], pd.Series[bool]]:
        """Return the times of an arm (for censored runs the horizon), and which are censored."""
        rows = self.outcomes[self.outcomes["arm"] == arm]
        bound = rows["horizon"] / (rows["train_epoch"] if endpoint == "delay" else 1.0)
        times = rows[endpoint].where(~rows["censored"], bound)
        known = times.notna()
        return times[known], rows["censored"][known]


def run(experiment: CompareModularAddition, setup: RunsSetup, recorder: Recorder) -> Aggregates:
    """Compare the arms found in ``setup.runs``.

    Raises:
        ExperimentError: If there are fewer than two arms, horizons differ, or a check finds something that is not
            admitted.
    """
    grouping = Grouping(tuple(experiment.group_by), ("seed",), tuple(experiment.where))
    found = looked_through(experiment, setup.runs, (TRAINING,), grouping)
    honesty.refuse_mixed_code(experiment.type, found.findings, experiment.mixed_code)
    arms = _arms(experiment, found, recorder)
    honesty.admit(experiment.type, found.findings, experiment.allow)
    names = list(pd.unique(arms.outcomes["arm"]))
    pairs = pairs_of(experiment.type, names, experiment.reference, "arm")
    if not pairs:
        raise ExperimentError(f"{experiment.type}: there is only the arm {experiment.reference!r}, nothing to compare")
    if set(experiment.endpoints) & set(LATENESS):
        _check_horizons(experiment, arms.outcomes)
    rng, spec = setup.rng("compare"), setup.stats
    summary = _summary(experiment, arms, names, spec, rng)
    ranked = {name: functools.partial(_ranked, arms, name, spec, rng) for name in LATENESS}
    outcomes = {name: OUTCOME[name] for name in experiment.endpoints}
    tested = tests_of(arms.read, outcomes, pairs, setup=setup, rng=rng, names=NAMES, otherwise=ranked)
    if tested.remarks and experiment.missing_units == "refuse":
        raise ExperimentError(f"{experiment.type}: {tested.remarks[0]} missing_units=flag compares what is there")
    for line in tested.remarks:
        recorder.warn(line)
    (tests,) = adjusted([tested.rows], experiment.primary, confidence=spec.confidence)
    tests = tests.drop(columns="unit").rename(columns={"training": "arm"})
    for finding in found.findings:
        recorder.warn(f"{finding.check}: {finding.text}; admitted.")
    recorder.table(honesty.completeness(found.findings, experiment.allow))
    note = honesty.admitted_note(found.findings, experiment.allow)
    named = ", ".join(name.rpartition(".")[2] for name in experiment.group_by)
    _report(recorder, arms, summary, tests, spec.confidence, named, note)
    lines = _sentences(summary, tests, spec.confidence)
    lines.append(f"Arms are named by their {named}.")
    primary = tests[tests["family"] == "primary"]
    return Aggregates(
        n_samples=len(arms.outcomes),
        n_conditions=len(names),
        custom=sentences.judged(lines, primary, tests, spec.confidence),
    )


def _arms(experiment: CompareModularAddition, found: Admitted, recorder: Recorder) -> _Arms:
    for line in found.left_out:
        recorder.warn(line)
    arm_of = {each.run.run_id: each.group for each in found.placed}
    trained = {each.run.run_id: each.run for each in found.placed}
    if not trained:
        raise ExperimentError(f"{experiment.type}: no finished run of {TRAINING} tells its arm and seed")
    _check_single(experiment, trained, arm_of)
    outcomes = pd.DataFrame(
        [{"arm": arm_of[run_id], "seed": run.seed, **_outcome(run)} for run_id, run in trained.items()]
    )
    rows = []
    for name in experiment.endpoints:
        rows += _read(name, found.runs, trained, arm_of, recorder) if name in READ else []
    values = pd.DataFrame(rows, columns=["endpoint", "arm", "seed", "value", "run_id"])
    by = ["arm", "seed"]
    return _Arms(
        outcomes.sort_values(by, kind="stable", ignore_index=True),
        values.sort_values(["endpoint", *by], kind="stable", ignore_index=True),
    )


def _check_single(
    experiment: CompareModularAddition, trained: Mapping[str, CollectedRun], arm_of: Mapping[str, str | None]
) -> None:
    """Refuse two trainings of one arm and seed: which of them is the run of that seed is not known."""
    shared: dict[tuple[Any, Any, Any], list[CollectedRun]] = {}
    for run_id, run in trained.items():
        shared.setdefault((arm_of[run_id], None, run.seed), []).append(run)
    several = {key: found for key, found in shared.items() if len(found) > 1}
    if several:
        arm, _, seed = next(iter(several))
        settings = ", ".join(differing(several)[:5])
        raise ExperimentError(
            f"{experiment.type}: {len(next(iter(several.values())))} trainings of arm {arm!r} have seed {seed}"
            + (f" and differ in {settings}" if settings else "")
            + "; choose with experiment.where, or name what differs in experiment.group_by"
        )


def _outcome(run: CollectedRun) -> dict[str, Any]:
    frame = run.tables.get("summary")
    if frame is None or not len(frame):
        raise ExperimentError(f"run {run.run_id[:8]} of {TRAINING} has no table 'summary'")
    row = frame.iloc[0]
    censored, horizon = bool(row["censored"]), float(row["final_epoch"])
    return {
        "horizon": horizon,
        "train_epoch": float(row["train_epoch"]),
        "val_epoch": float(row["val_epoch"]),
        "delay": float(row["delay"]),
        "censored": censored,
        "shown_epoch": horizon if censored else float(row["val_epoch"]),
        "state": "never within the horizon" if censored else "answered",
        **{name: value_of(run, f"experiment.{name}") for name in ("level", "evaluate_every")},
        "run_id": run.run_id,
    }


def _read(
    name: str,
    runs: Sequence[CollectedRun],
    trained: Mapping[str, CollectedRun],
    arm_of: Mapping[str, str | None],
    recorder: Recorder,
) -> list[dict[str, Any]]:
    """Return an endpoint of every training, read at the last checkpoint of the latest run on its network."""
    kind, endpoint = READ[name]
    latest: dict[str, CollectedRun] = {}
    several = set()
    asked = [run for run in runs if run.experiment_type == kind and run.model_run in trained and _of_heads(run)]
    for run in sorted(asked, key=lambda each: each.started_at or ""):
        several |= {run.model_run} & set(latest)
        latest[str(run.model_run)] = run
    if several:
        recorder.warn(f"{len(several)} networks have several runs of {kind}: the latest was read.")
    rows = []
    for run_id, run in latest.items():
        frame = chosen_rows(run, endpoint.table, endpoint.rows, endpoint.columns)
        if isinstance(frame, Unread) or not len(frame):
            continue
        value = float(frame.sort_values(endpoint.epoch, kind="stable")[endpoint.value].iloc[-1])
        if math.isfinite(value):
            told = {"endpoint": name, "arm": arm_of[run_id], "seed": trained[run_id].seed}
            rows.append({**told, "value": value, "run_id": run.run_id})
    if len(rows) < len(trained):
        recorder.warn(f"{LABELS[name]}: {len(trained) - len(rows)} of {len(trained)} networks have none.")
    return rows


def _of_heads(run: CollectedRun) -> bool:
    """Return whether a run is about heads, where its type may be about other sites too."""
    wanted = OF_HEADS.get(run.experiment_type, {})
    return all(str(value_of(run, name)) == value for name, value in wanted.items())


def _check_horizons(experiment: CompareModularAddition, outcomes: pd.DataFrame) -> None:
    """Refuse to rank trainings that differ in length, threshold or evaluation interval."""
    for name, means in (("horizon", "epochs"), ("level", "level"), ("evaluate_every", "evaluate_every")):
        values = sorted({str(value) for value in outcomes[name]})
        if len(values) > 1:
            raise ExperimentError(
                f"{experiment.type}: the trainings differ in {means} ({', '.join(values)}): when they answer cannot be "
                f"ranked; restrict experiment.where, or leave {' and '.join(LATENESS)} out of experiment.endpoints"
            )


def _summary(
    experiment: CompareModularAddition, arms: _Arms, names: Sequence[str], spec: StatsSpec, rng: np.random.Generator
) -> pd.DataFrame:
    """Return a row per endpoint and arm; censored times have a median and no mean."""
    units, _ = unit_table(arms.read)
    rows: list[dict[str, Any]] = []
    for name in experiment.endpoints:
        found = group_rows(units[units["metric"] == name], OUTCOME, spec=spec, rng=rng).frame.set_index("group")
        for arm in names:
            if name in LATENESS:
                times, censored = arms.times(name, arm)
                n, n_censored = len(times), int(censored.sum())
                mean, median, around = math.nan, _median(np.where(censored, math.inf, times)), RANKS
            else:
                values = units.loc[(units["metric"] == name) & (units["group"] == arm), "value"]
                row = found.loc[arm].to_dict() if len(values) else NOTHING
                n, n_censored, mean, median = len(values), 0, float(row["mean"]), float(values.median())
                around = Interval(row["ci_low"], row["ci_high"], row["ci_method"])
                if name == REACHED:
                    around = _wilson(values.sum(), n, spec.confidence)
            rows.append(
                {
                    "endpoint": name, "label": LABELS[name], "arm": arm, "n_seeds": n, "n_censored": n_censored,
                    "mean": mean, "median": median,
                    "ci_low": around.low, "ci_high": around.high, "ci_method": around.method,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _median(times: Any) -> float:
    """Return the median with censored times last; NaN if it is itself censored."""
    middle = float(np.median(times)) if len(times) else math.nan
    return middle if math.isfinite(middle) else math.nan


def _wilson(yes: float, n: int, confidence: float) -> Interval:
    if n < few.LEAST_RUNS:
        return Interval(math.nan, math.nan, NONE)
    around = binomtest(round(yes), n).proportion_ci(confidence, method="wilson")
    return Interval(float(around.low), float(around.high), "wilson")


def _ranked(
    arms: _Arms, endpoint: str, spec: StatsSpec, rng: np.random.Generator, arm: str, reference: str
) -> tuple[ArmComparison, dict[str, float]]:
    """Compare times of two arms by ranks; a run that never learned its training pairs has no delay."""
    (a, censored_a), (b, censored_b) = arms.times(endpoint, arm), arms.times(endpoint, reference)
    none = ArmComparison(
        math.nan, "none", len(a), len(b), ci_method=RANKS.method, missing=_lost(arms, endpoint, (arm, reference)),
        intervals=lambda _: RANKS,
    )  # fmt: skip
    if min(len(a), len(b)) < 1 or len(a) + len(b) < 3:
        return none, {"p_later": math.nan}
    found = gehan(a, b, censored_a, censored_b, rng=rng, n_permutations=spec.n_permutations)
    return replace(none, smallest_p=found.smallest_p, design=found.test, p=found.p), {"p_later": found.statistic}


def _lost(arms: _Arms, endpoint: str, names: Sequence[str]) -> str:
    """Return how many trainings of each arm have no time, in words; empty where all have one."""
    lost = {arm: int((arms.outcomes["arm"] == arm).sum()) - len(arms.times(endpoint, arm)[0]) for arm in names}
    said = ", ".join(f"{n} of {arm}" for arm, n in lost.items() if n)
    return f"without a time: {said}" if said else ""


def _report(
    recorder: Recorder,
    arms: _Arms,
    summary: pd.DataFrame,
    tests: pd.DataFrame,
    confidence: float,
    named: str,
    note: str,
) -> None:
    noted = {"note": note} if note else {}
    kind = Evidence.COMPARISON
    recorder.table(Table("outcomes", "One row per training.", kind, arms.outcomes, OUTCOMES))
    recorder.table(Table("values", "One row per training and endpoint that is read after it.", kind, arms.values))
    about = "One row per endpoint and arm, over seeds; what is censored has a median (missing where it is), no mean."
    recorder.table(Table("arms", about, kind, summary))
    recorder.table(Table("tests", "Every arm against the reference; the floor of p first.", kind, tests, TESTS))
    drawn = Figure.of("strip", "outcomes", name="epochs", x="arm", y="shown_epoch", group="state")
    says = (
        "One point per seed, by arm. Where held-out pairs were never answered it stands at the end of the training: "
        "the epoch is only known to be later."
    )
    title = "Epoch at which held-out pairs are answered"
    recorder.figure(drawn.titled(title, says, xlabel=named, ylabel="epoch", interval="none", **noted))
    for name in pd.unique(arms.values["endpoint"]):
        own = arms.values[arms.values["endpoint"] == name]
        around = summary[summary["endpoint"] == name]
        recorder.table(Table(f"{name}_values", f"{LABELS[name]}: one row per seed.", kind, own.reset_index(drop=True)))
        recorder.table(Table(f"{name}_arms", f"{LABELS[name]}: one row per arm.", kind, around.reset_index(drop=True)))
        roles = {"x": "arm", "y": "value", "pair": "seed", "mean": "mean", **INTERVAL}
        drawn = Figure.of("strip", f"{name}_values", f"{name}_arms", name=name, **roles)
        says = "One point per seed; grey lines join equal seeds. Bars: mean over seeds with its interval."
        looks = {"xlabel": named, "ylabel": LABELS[name], "confidence": confidence, **noted}
        recorder.figure(drawn.titled(LABELS[name].capitalize(), says, **looks))


def _sentences(summary: pd.DataFrame, tests: pd.DataFrame, confidence: float) -> list[str]:
    named = tests.rename(columns={"arm": "training"})
    primary = named[named["family"] == "primary"]
    lines = sentences.reach(primary, confidence)
    for _, row in summary.iterrows():
        if row["endpoint"] in LATENESS:
            lines.append(sentences.time_line(row))
            continue
        if not int(row["n_seeds"]):
            lines.append(f"{row['arm']}: {row['label']}, in no run.")
            continue
        told = sentences.interval(row, confidence)
        mean = sentences.number(float(row["mean"]))
        lines.append(f"{row['arm']}: {row['label']} {mean} ({told}; n = {int(row['n_seeds'])}).")
    for _, row in named.iterrows():
        ranked = row["endpoint"] in LATENESS and not math.isnan(float(row["p"]))
        lines.append(sentences.later_line(row, confidence) if ranked else sentences.contrast_line(row, confidence))
    return lines
