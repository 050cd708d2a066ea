"""Looks at every latent of an autoencoder, and chooses those worth a study."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Bools
from paribus.errors import ConfigError, ExperimentError
from paribus.experiments.base import Recorder
from paribus.experiments.builds._survey_sentences import about
from paribus.experiments.builds.feature_survey.latents import (
    WEAPON,
    as_written,
    factors,
    latents_of,
    logit_effects,
    screen,
)
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.effect_vector import FEW_CLUSTERS
from paribus.experiments.feature_survey import FeatureSurvey
from paribus.experiments.glance import glance, ranks, spread_out
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.subjects.builds.families import BY_NAME


def validate(experiment: FeatureSurvey, setup: BuildSetup) -> None:
    """Check that the model has an autoencoder with enough latents, and that there are enough source builds.

    Raises:
        ConfigError: If not, or there are too few source builds to look at in halves.
    """
    known = setup.model.require_sae().n_features
    if experiment.n_features > known:
        raise ConfigError(f"experiment.n_features={experiment.n_features}: the autoencoder has {known} latents")
    n_clusters = len(np.unique(setup.cluster))
    if n_clusters < FEW_CLUSTERS:
        raise ConfigError(
            f"data: {n_clusters} source builds are too few to look at in halves; at least {FEW_CLUSTERS} are needed"
        )


def run(experiment: FeatureSurvey, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Rank on one half, choose, and say how the chosen ones look in the other half.

    Raises:
        ExperimentError: If no latent fires as often as a candidate must.
    """
    experiment.validate(setup)
    for warning in setup.corpus.warnings:
        recorder.warn(warning)
    half = setup.half("feature_survey")
    recorder.diagnose(n_contexts_tested=len(half))
    frame = latent_rows(experiment, setup, half)
    if not frame["candidate"].any():
        raise ExperimentError(
            f"feature_survey: no latent fires in {experiment.min_firing:.0%} to {experiment.max_firing:.0%} of "
            f"{int(half.sum())} contexts; widen experiment.min_firing and max_firing"
        )
    chosen = frame[frame["chosen"] > 0].sort_values("chosen")
    screened = screened_rows(experiment, setup, half, chosen)
    named = named_rows(chosen, screened)
    ranked = frame.sort_values("score", ascending=False, kind="stable", ignore_index=True)
    says = "One row per latent, ranked on one half of the source builds; the other half shows what of it holds."
    recorder.table(Table("latents", says, Evidence.OBSERVATIONAL, ranked, _COLUMNS))
    meanings = {
        "rung": "AP that the family is set to: of all rungs the one that moves the latent most",
        "mean_delta": "mean paired difference, in sd of the latent",
        "n": "contexts in which both are legal",
    }
    says = (
        "One row per chosen latent and family: the latent with the family set to a rung minus without it, in "
        "the same contexts of the first half. For choosing, not for testing."
    )
    recorder.table(Table("screened_families", says, Evidence.INTERVENTIONAL, screened, meanings))
    says = "One row per chosen latent, the best first."
    recorder.table(Table("chosen", says, Evidence.OBSERVATIONAL, named, _CHOSEN))
    draw(recorder)
    missing = experiment.n_features - len(named)
    if missing:
        recorder.warn(f"only {len(named)} of {experiment.n_features} latents wanted are candidates")
    return Aggregates(
        n_samples=len(half),
        n_conditions=len(frame),
        custom={
            "summary": [
                rule(experiment, int(half.sum())),
                *(about(row, "chosen", place) for place, (_, row) in enumerate(named.iterrows())),
            ],
            "features": [int(latent) for latent in named["feature_id"]],
            "n_candidates": int(frame["candidate"].sum()),
            "n_dead": int((frame["firing_rate"] == 0).sum()),
        },
    )


def latent_rows(experiment: FeatureSurvey, setup: BuildSetup, half: Bools) -> pd.DataFrame:
    """Return one row per latent."""
    states = setup.contexts.states()
    f = latents_of(setup, states, np.arange(setup.model.require_sae().n_features))
    names, groups = factors(setup, states)
    here, there = glance(f[half], groups[:, half]), glance(f[~half], groups[:, ~half])
    leading = here.explained.argmax(1)
    rows = np.arange(len(leading))
    selectivity = here.explained[rows, leading]
    effects = logit_effects(setup, as_written(setup, states[half], f[half]).std(axis=0, ddof=1))
    candidate = (
        (here.firing_rate >= experiment.min_firing) & (here.firing_rate <= experiment.max_firing) & (here.sd > 0)
    )
    score = np.sqrt(ranks(selectivity, candidate) * ranks(effects, candidate))
    place = np.zeros(len(rows), np.int64)
    for number, latent in enumerate(spread_out(score, leading, experiment.n_features), start=1):
        place[latent] = number
    return pd.DataFrame(
        {
            "latent": rows,
            "firing_rate": here.firing_rate,
            "sd": here.sd,
            "leading": [names[i] for i in leading],
            "selectivity": selectivity,
            "weapon_share": here.explained[:, names.index(WEAPON)],
            "logit_effect": effects,
            "candidate": candidate,
            "score": score,
            "chosen": place,
            "firing_rate_other_half": there.firing_rate,
            "selectivity_other_half": there.explained[rows, leading],
        }
    )


def screened_rows(experiment: FeatureSurvey, setup: BuildSetup, half: Bools, chosen: pd.DataFrame) -> pd.DataFrame:
    """Return the families' mean effects on the chosen latents, in contexts of the first half."""
    places = setup.drawn(np.flatnonzero(half), experiment.screen_contexts, "screen")
    latents = chosen["latent"].to_numpy(dtype=np.int64)
    frame = screen(setup, setup.contexts.rows(places).states(), latents, experiment.rung)
    frame["mean_delta"] /= frame["latent"].map(chosen.set_index("latent")["sd"])
    return frame


def named_rows(chosen: pd.DataFrame, screened: pd.DataFrame) -> pd.DataFrame:
    """Return the chosen latents with the families that move them most."""
    rows = []
    for _, row in chosen.iterrows():
        mine = screened[screened["latent"] == row["latent"]].dropna(subset="mean_delta")
        reach = (mine["mean_delta"] * mine["n"]).abs()
        order = mine.loc[reach.sort_values(ascending=False, kind="stable").index, "family"].tolist()
        at = mine.set_index("family")
        stacking = [name for name in order if not BY_NAME[name].main_only]
        others = [name for name in order if name not in stacking[:2]]
        rows.append(
            {
                "feature_id": int(row["latent"]),
                "family_1": stacking[0],
                "family_2": stacking[1],
                "modulator": others[0],
                **{f"rung_{i + 1}": int(at.loc[name, "rung"]) for i, name in enumerate(stacking[:2])},
                **{f"delta_{i + 1}": float(at.loc[name, "mean_delta"]) for i, name in enumerate(stacking[:2])},
                **{name: row[name] for name in ("leading", *_KEPT)},
            }
        )
    return pd.DataFrame(rows)


def rule(experiment: FeatureSurvey, n: int) -> str:
    """Return how the latents were chosen, in words."""
    return (
        f"Chosen on {n} contexts of one half of the source builds: of the latents that fire in "
        f"{experiment.min_firing:.0%} to {experiment.max_firing:.0%} of them those with the largest geometric mean of "
        "two ranks, how much of the variance one family (or the weapon) explains and how far one sd moves the logits; "
        "at most one for each leading family as long as there are others."
    )


def draw(recorder: Recorder) -> None:
    """Declare the map of the latents."""
    drawn = Figure.of("scatter", "latents", x="selectivity", y="logit_effect")
    title = "All latents: what one family explains, and what they do to the output"
    says = (
        "Across: share of the variance explained by the leading family or the weapon, which is a correlation; "
        "up: how far one sd of the latent moves the logits, read from the weights."
    )
    looks = {"xlabel": "explained by one family", "ylabel": "logits moved by one sd"}
    recorder.figure(drawn.titled(title, says, **looks))


_KEPT = ("firing_rate", "selectivity", "selectivity_other_half", "logit_effect", "score")


_COLUMNS = {
    "latent": "number in the autoencoder",
    "firing_rate": "share of contexts of the first half with f > 0",
    "sd": "standard deviation of f there, zeros included",
    "leading": "family (or the weapon) that explains most of the variance",
    "selectivity": "adjusted share of the variance between the rungs of that family; a correlation",
    "weapon_share": "the same between weapons",
    "logit_effect": "rms change of the ability tokens' logits (centred) for one sd, from the weights",
    "candidate": "whether the firing rate is in the range asked for",
    "score": "geometric mean of the ranks of selectivity and logit_effect among the candidates",
    "chosen": "place among the chosen, from 1; 0 for the others",
    "firing_rate_other_half": "firing rate in the half that nothing was chosen on",
    "selectivity_other_half": "share that the same family explains there",
}


_CHOSEN = {
    "feature_id": "number of the latent",
    "family_1": "stacking family whose setting moves it most",
    "family_2": "the next one",
    "rung_1": "AP at which family_1 was set",
    "rung_2": "AP at which family_2 was set",
    "delta_1": "mean effect of family_1 there on the half that latents are chosen on, in sd of the latent",
    "delta_2": "the same of family_2",
    "modulator": "the next of all families, main-only ones included",
    **{name: _COLUMNS[name] for name in ("leading", *_KEPT)},
}
