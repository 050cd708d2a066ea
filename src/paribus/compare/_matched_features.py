"""Which features of two models are matched one to one, and how alike the same edits move them, beside chance."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Floats, Ints
from paribus.compare._seen_features import Seen, mean_of_known
from paribus.compare.compare_features import EFFECTS, MATCHING, CompareFeatures
from paribus.errors import ExperimentError
from paribus.experiments.base import Recorder
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.results.evidence import Evidence
from paribus.results.schema import Table
from paribus.stats.matching import correlations, jaccard, match, null_of_matching
from paribus.stats.nulls import null_percentile, null_quantiles

BOTH = ("model_a", "feature_a", "model_b", "feature_b")
MATCHES = {
    "r": "correlation of the effects of the two features that are matched",
    "mutual": "whether each is the other's most similar feature",
    "shared_drivers": "share of their established edits that both have (Jaccard); missing where neither has any",
    "similarity": "similarity of the two latents by which they were matched",
    "established": "whether that match is established (match_features)",
}
MATCHED = {
    "n": "features that are matched, one to one",
    "mean_r": "mean correlation of matched features",
    "null_low": "2.5 % quantile of that mean where the entries of each vector are exchanged",
    "null_high": "97.5 % quantile of it",
    "null_percentile": "percentile of mean_r among these, 0 to 100; not a p",
    "n_mutual": "matches in which each is the other's most similar feature",
}
AS_TRACKED = {
    **MATCHED,
    "null_low": "2.5 % quantile of that mean where the same features are paired at random",
    "n_mutual": "matches in which each latent is the other's most similar one",
}
BY_EFFECTS: tuple[str, ...] = ("r", "mutual", "shared_drivers")
"""Columns of matches that were looked for in the effects."""


@dataclass(frozen=True)
class Pairs:
    """Features of two models that are matched.

    Attributes:
        models: The two models.
        first: Places of the features of the first.
        second: Places of those that they are matched with.
        mutual: Whether each is the other's most similar feature.
        drawn: Means of the correlations under the null.
        further: What else is known of each match.
    """

    models: tuple[str, str]
    first: Ints
    second: Ints
    mutual: tuple[bool, ...]
    drawn: Floats
    further: tuple[Mapping[str, Any], ...] = ()


def matched_features(
    experiment: CompareFeatures,
    setup: RunsSetup,
    recorder: Recorder,
    seen: Sequence[Seen],
    effects: Floats,
    similar: Floats,
    runs: Sequence[CollectedRun],
) -> pd.DataFrame:
    """Match the features of every two models; add the tables ``matches`` and ``matched``, and return the latter.

    Args:
        experiment: How features are matched.
        setup: Randomness of the null.
        recorder: Where the tables go.
        seen: The features.
        effects: Effect of every edit on every feature, NaN where it was not measured [features, edits].
        similar: Correlations of these [features, features].
        runs: All runs, among them those that matched latents.

    Raises:
        ExperimentError: If matches are to be taken from runs of match_features, and there is none on two of the models.
    """
    if experiment.match_by == EFFECTS:
        found = list(_by_effects(experiment, setup, seen, effects, similar))
        columns, meanings = BY_EFFECTS, MATCHED
        matches = "One row per feature of a model and the one of another that it is matched with."
        totals = "One row per two models: how alike matched features are, beside vectors with their entries exchanged."
    else:
        found = _as_tracked(experiment, setup, recorder, seen, similar, runs)
        columns, meanings = tuple(MATCHES), AS_TRACKED
        matches = f"One row per two latents that {MATCHING} matched by {experiment.match_by}, both with effects here."
        totals = (
            "One row per two models: how alike the same edits move matched features, beside these paired at random."
        )
    rows = [row for pairs in found for row in _rows(pairs, seen, similar)]
    frame = pd.DataFrame(rows, columns=[*BOTH, *columns])
    recorder.table(Table("matches", matches, Evidence.COMPARISON, frame, MATCHES))
    of_models = [_total(pairs, similar) for pairs in found if len(pairs.first)]
    frame = pd.DataFrame(of_models, columns=["model_a", "model_b", *MATCHED])
    recorder.table(Table("matched", totals, Evidence.COMPARISON, frame, meanings))
    return frame


def _rows(pairs: Pairs, seen: Sequence[Seen], similar: Floats) -> Iterator[dict[str, Any]]:
    further = pairs.further or ({},) * len(pairs.first)
    for i, j, mutual, more in zip(pairs.first, pairs.second, pairs.mutual, further, strict=True):
        a, b = seen[i], seen[j]
        yield {
            **dict(zip(BOTH, (a.model, a.feature, b.model, b.feature), strict=True)),
            "r": similar[i, j], "mutual": mutual, **more,
            "shared_drivers": jaccard(frozenset(a.drivers), frozenset(b.drivers)),
        }  # fmt: skip


def _total(pairs: Pairs, similar: Floats) -> dict[str, Any]:
    """Return the similarity of effects of matched features, with the null."""
    mean = mean_of_known(similar[pairs.first, pairs.second])
    low, _, high = null_quantiles(pairs.drawn[None])
    return {
        "model_a": pairs.models[0],
        "model_b": pairs.models[1],
        "n": len(pairs.first),
        "mean_r": mean,
        "null_low": float(low[0]),
        "null_high": float(high[0]),
        "null_percentile": float(null_percentile(np.array([mean]), pairs.drawn[None])[0]),
        "n_mutual": sum(pairs.mutual),
    }


def _by_effects(
    experiment: CompareFeatures, setup: RunsSetup, seen: Sequence[Seen], effects: Floats, similar: Floats
) -> Iterator[Pairs]:
    """Yield the matches of every two models by the correlation of their effects; null: entries exchanged."""
    models = list(dict.fromkeys(each.model for each in seen))
    of = {model: np.array([i for i, each in enumerate(seen) if each.model == model]) for model in models}
    alike = functools.partial(correlations, least=experiment.least_entries)
    for one, other in itertools.combinations(models, 2):
        found = match(similar[np.ix_(of[one], of[other])])
        a, b = effects[of[one]], effects[of[other]]
        common = np.isfinite(a).all(0) & np.isfinite(b).all(0)
        drawn = np.full(1, math.nan)
        if len(found.value) and experiment.n_null and common.sum() >= experiment.least_entries:
            rng = setup.rng(f"compare_features {one} {other}")
            drawn = null_of_matching(a[:, common], b[:, common], alike, n=experiment.n_null, rng=rng)
        mutual = tuple(map(bool, found.mutual))
        yield Pairs((one, other), of[one][found.first], of[other][found.second], mutual, drawn)


def _as_tracked(
    experiment: CompareFeatures,
    setup: RunsSetup,
    recorder: Recorder,
    seen: Sequence[Seen],
    similar: Floats,
    runs: Sequence[CollectedRun],
) -> list[Pairs]:
    """Return the matches that runs of match_features found; null: the same features paired at random."""
    place = {(each.model, each.feature): i for i, each in enumerate(seen)}
    tracked = _matchings(runs, {each.model for each in seen}, recorder)
    if not tracked:
        raise ExperimentError(
            f"compare_features: match_by={experiment.match_by} takes the matches of a finished run of {MATCHING} on "
            f"two of the models ({', '.join(sorted({each.model for each in seen}))}); there is none here"
        )
    found = []
    for (one, other), run in tracked.items():
        frame = run.tables["matches"]
        known = [
            (place[one, f"latent {row['feature']}"], place[other, f"latent {row['partner']}"], row)
            for row in frame[frame["way"] == experiment.match_by].to_dict("records")
            if (one, f"latent {row['feature']}") in place and (other, f"latent {row['partner']}") in place
        ]
        first, second = (np.array([row[k] for row in known], np.int64) for k in (0, 1))
        rng = setup.rng(f"compare_features {one} {other}")
        draws = experiment.n_null if len(known) > 1 else 0
        drawn = [mean_of_known(similar[first, rng.permutation(second)]) for _ in range(draws)]
        further = tuple(
            {"similarity": float(row["similarity"]), "established": str(row["established"])} for _, _, row in known
        )
        mutual = tuple(bool(row["mutual"]) for _, _, row in known)
        found.append(Pairs((one, other), first, second, mutual, np.array(drawn or [math.nan]), further))
    return found


def _matchings(
    runs: Sequence[CollectedRun], models: Collection[str], recorder: Recorder
) -> dict[tuple[str, str], CollectedRun]:
    """Return for every two models the run that matched their latents: the latest of several, with a remark.

    A model that was matched with itself is no two: its effects are equal by construction.
    """
    several: dict[frozenset[str], list[CollectedRun]] = {}
    for run in (each for each in runs if each.experiment_type == MATCHING and "matches" in each.tables):
        both = frozenset(_matched_models(run))
        if len(both) == 2 and both <= set(models):
            several.setdefault(both, []).append(run)
    found = {}
    for mine in several.values():
        latest = max(mine, key=lambda each: each.started_at or "")
        found[_matched_models(latest)] = latest
        if len(mine) > 1:
            recorder.warn(
                f"{len(mine)} runs of {MATCHING} are about {' and '.join(_matched_models(latest))}: the latest, "
                f"{latest.run_id[:8]}, was read; experiment.runs chooses another."
            )
    return found


def _matched_models(run: CollectedRun) -> tuple[str, str]:
    return str(run.model_run or "")[:8], str(run.tags.get("beside_run") or "")[:8]
