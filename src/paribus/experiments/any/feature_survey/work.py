"""A survey of the features of any network: what they correlate with, what ablating them does, and a choice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats, Ints
from paribus.engine.interventions import Identity
from paribus.errors import ConfigError, ExperimentError
from paribus.experiments.any._features import Surveyed, surveyed
from paribus.experiments.any._session import only_network, refuse_several, rows_to_choose_on
from paribus.experiments.any.feature_survey.groups import Groups, groups_of
from paribus.experiments.any.feature_survey.report import MOST_SCREENED, about, hand_over, rule
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import FEW_CLUSTERS
from paribus.experiments.feature_survey import FeatureSurvey
from paribus.experiments.glance import glance, ranks, spread_out
from paribus.experiments.setup import NetworkSetup
from paribus.measure.executor import Executor
from paribus.results.schema import Aggregates
from paribus.stats.variance_share import Association, association

MOST_VALUES = 1 << 24
"""Output values that are held at once."""


def validate(experiment: FeatureSurvey, setup: NetworkSetup) -> None:
    """Look up place, autoencoder and split; there must be enough features and clusters, and labels or domains.

    Raises:
        ConfigError: If something is missing.
    """
    refuse_several(setup, "a survey is of one network")
    executor = setup.executor()
    rows, said = rows_to_choose_on(experiment.split, setup, experiment.n_contexts)
    found = surveyed(setup, executor, place=experiment.place, path=experiment.path, clamp=experiment.clamp)
    if experiment.n_features > found.columns.size:
        raise ConfigError(
            f"experiment.n_features={experiment.n_features}: {found.site} has {found.columns.size} {found.kind}s"
        )
    groups_of(setup, rows, said)
    n_clusters = len(np.unique(setup.contexts.cluster[rows]))
    if n_clusters < FEW_CLUSTERS:
        raise ConfigError(
            f"experiment.split={said}: {n_clusters} clusters are too few to look at in halves; at least {FEW_CLUSTERS}"
        )


def run(experiment: FeatureSurvey, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Rank on one half of the clusters, take candidates away, choose; test in the other half what they go along with.

    Raises:
        ExperimentError: If no feature fires as often as a candidate must.
    """
    _, executor = only_network(setup, recorder)
    rows, said = rows_to_choose_on(experiment.split, setup, experiment.n_contexts)
    at = surveyed(setup, executor, place=experiment.place, path=experiment.path, clamp=experiment.clamp)
    groups = groups_of(setup, rows, said)
    cluster = setup.contexts.cluster[rows]
    ids = np.unique(cluster)
    half = np.isin(cluster, setup.rng("feature_survey").permutation(ids)[: len(ids) // 2])
    recorder.diagnose(n_contexts_tested=len(rows))
    frame, found, tested = _ranked(experiment, at.activations(executor, rows), groups, half, cluster, setup)
    candidate = frame["candidate"].to_numpy()
    if not candidate.any():
        raise ExperimentError(
            f"feature_survey: no {at.kind} of {at.site} fires in {experiment.min_firing:.0%} to "
            f"{experiment.max_firing:.0%} of {int(half.sum())} contexts; widen experiment.min_firing and max_firing"
        )
    if found.n_exchangeable < FEW_CLUSTERS:
        recorder.warn("hardly any clusters have the same number of contexts, so that exchanging them changes little")
    beyond = int(frame["beyond_chance"].sum())
    if beyond < experiment.n_features:
        recorder.warn(
            f"{beyond} {at.kind}s that fire as often as a candidate must go along with {' or '.join(groups.factors)} "
            "more than by chance; the others chosen are those with the largest share all the same"
        )
    screened = _screened(experiment, setup, executor, at, rows[half], frame, recorder)
    frame = _chosen(experiment, frame, screened)
    level = 1 - setup.stats.confidence
    named = hand_over(recorder, at, groups, said, frame, screened)
    missing = experiment.n_features - len(named)
    if missing:
        recorder.warn(f"only {len(named)} of {experiment.n_features} {at.kind}s wanted are candidates")
    held = int((frame["p_adj"] <= level).sum())
    recorder.metric("n_candidates", float(candidate.sum()))
    recorder.metric("n_held_in_other_half", float(held))
    return Aggregates(
        n_samples=len(rows),
        n_conditions=len(frame),
        custom={
            "summary": [
                rule(experiment, at, said, int(half.sum()), groups, frame[frame["score"].notna()], tested=tested),
                *(about(at, row, place, level) for place, (_, row) in enumerate(named.iterrows())),
            ],
            "features": [int(one) for one in named["feature_id"]],
            "kind": at.kind,
            "place": at.site,
            "split": said,
            "n_candidates": int(candidate.sum()),
            "n_held_in_other_half": held,
            "n_dead": int((frame["firing_rate"] == 0).sum()),
        },
    )


def _ranked(
    experiment: FeatureSurvey,
    activations: Iterable[tuple[int, Floats]],
    groups: Groups,
    half: Bools,
    cluster: Ints,
    setup: NetworkSetup,
) -> tuple[pd.DataFrame, Association, bool]:
    """Return one row per feature, the test in the other half, and whether the first half allows a test."""
    parts, kept = [], []
    one, other = groups.codes[:, half], groups.codes[:, ~half]
    for start, f in activations:
        here, there = glance(f[half], one), glance(f[~half], other)
        rows = np.arange(f.shape[1])
        leading = here.explained.argmax(1)
        candidate = (
            (here.firing_rate >= experiment.min_firing) & (here.firing_rate <= experiment.max_firing) & (here.sd > 0)
        )
        part = {
            "feature": start + rows,
            "firing_rate": here.firing_rate,
            "sd": here.sd,
            "leading": np.array(groups.factors, object)[leading],
            "leading_group": _highest(f[half], one, groups, leading),
            "selectivity": here.explained[rows, leading],
            **{f"{factor}_share": here.explained[:, k] for k, factor in enumerate(groups.factors)},
            "candidate": candidate,
            "firing_rate_other_half": there.firing_rate,
            "selectivity_other_half": there.explained[rows, leading],
        }
        parts.append(pd.DataFrame(part))
        kept.append(f[:, candidate])
    frame = pd.concat(parts, ignore_index=True)
    candidate = frame["candidate"].to_numpy()
    values = np.concatenate(kept, axis=1)
    which = np.array([groups.factors.index(one) for one in frame.loc[candidate, "leading"]], np.int64)
    rng, n = setup.rng("feature_survey_null"), experiment.n_permutations
    found = association(values[~half], other, which, cluster[~half], n_permutations=n, rng=rng)
    chosen_on = association(values[half], one, which, cluster[half], n_permutations=n, rng=rng)
    frame["beyond_chance"] = False
    frame.loc[candidate, "beyond_chance"] = ~(chosen_on.share <= chosen_on.null_high)
    for name, column in (("null_high", found.null_high), ("p", found.p), ("p_adj", found.p_adj)):
        frame[name] = np.nan
        frame.loc[candidate, name] = column
    frame["p_method"] = "none: no candidate"
    frame.loc[candidate, "p_method"] = found.method
    return frame, found, bool(np.isfinite(chosen_on.null_high).any())


def _highest(f: Floats, codes: Ints, groups: Groups, leading: Ints) -> list[str]:
    """Return the group of the leading factor in which each feature is most active."""
    tops = []
    for code, names in zip(codes, groups.names, strict=True):
        member = np.eye(len(names))[code]
        with np.errstate(invalid="ignore", divide="ignore"):
            means = member.T @ f / member.sum(0)[:, None]
        tops.append(np.nan_to_num(means, nan=-np.inf).argmax(0))
    return [groups.names[factor][tops[factor][row]] for row, factor in enumerate(leading)]


def _to_screen(experiment: FeatureSurvey, frame: pd.DataFrame) -> Ints:
    """Return the candidates associated with label or domain beyond chance; where these are too few, others too."""
    order = frame[frame["candidate"]].sort_values(["beyond_chance", "selectivity"], ascending=False, kind="stable")
    beyond = int(order["beyond_chance"].sum())
    most = max(min(beyond, MOST_SCREENED), experiment.n_features)
    return order["feature"].to_numpy(np.int64)[:most]


def _screened(
    experiment: FeatureSurvey,
    setup: NetworkSetup,
    executor: Executor,
    at: Surveyed,
    rows: Ints,
    frame: pd.DataFrame,
    recorder: Recorder,
) -> pd.DataFrame:
    """Return what setting the most selective candidates to 0 does to the outputs, in contexts of the first half."""
    if len(rows) > experiment.screen_contexts:
        rows = np.sort(setup.rng("screen").choice(rows, experiment.screen_contexts, replace=False))
    cells = setup.contexts.enforce(setup.contexts.cells(rows))
    cells = cells[cells.ok]
    features = _to_screen(experiment, frame)
    here = executor.at(at.site)
    base = here.outputs(cells)
    per = max(1, MOST_VALUES // max(1, base.size))
    names = setup.contexts.output_names
    found = []
    pieces = [features[start : start + per] for start in range(0, len(features), per)]
    for piece in recorder.progress(pieces, total=len(pieces), description="screen"):
        outputs, report = here.edited(cells, [Identity(), *(at.without(int(one)) for one in piece)])
        recorder.diagnose(engine=report)
        flat = outputs.astype(np.float64).reshape(len(piece) + 1, len(base), -1)
        if flat.shape[2] > 1:
            flat = flat - flat.mean(2, keepdims=True)
        change = flat[1:] - flat[:1]
        change[np.abs(change) <= executor.rounding * np.abs(flat[:1]).max(initial=0.0)] = 0.0
        mean = change.mean(1)
        size = np.abs(mean)
        top = (size >= (1 - 1e-5) * size.max(1, keepdims=True)).argmax(1)  # of two classes both move alike: the first
        for row, one in enumerate(piece):
            output = int(top[row])
            found.append(
                {
                    "feature": int(one),
                    "name": at.name(int(one)),
                    "output_effect": float(np.sqrt((change[row] ** 2).mean())),
                    "output": names[output] if output < len(names) else str(output),
                    "mean_change": float(mean[row, output]),
                    "n": len(base),
                }
            )
    return pd.DataFrame(found)


def _chosen(experiment: FeatureSurvey, frame: pd.DataFrame, screened: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with score, place among the chosen, and the stage each feature reached."""
    effect = np.full(len(frame), np.nan)
    effect[screened["feature"].to_numpy(np.int64)] = screened["output_effect"].to_numpy()
    among = np.isfinite(effect)
    score = np.sqrt(ranks(frame["selectivity"].to_numpy(), among) * ranks(effect, among))
    leading = pd.factorize(frame["leading"] + " " + frame["leading_group"])[0].astype(np.int64)
    place = np.zeros(len(frame), np.int64)
    for number, one in enumerate(spread_out(score, leading, experiment.n_features), start=1):
        place[one] = number
    stage = np.select(
        [place > 0, among, frame["candidate"].to_numpy(), frame["firing_rate"].to_numpy() == 0],
        ["chosen", "screened", "candidate", "silent"],
        "outside the window",
    )
    return frame.assign(output_effect=effect, score=score, chosen=place, stage=stage)
