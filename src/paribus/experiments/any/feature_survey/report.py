"""What a survey of any network hands over: tables, figures, and sentences about the chosen features."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.experiments.any._features import Surveyed
from paribus.experiments.any.feature_survey.groups import Groups
from paribus.experiments.base import Recorder
from paribus.experiments.feature_survey import FeatureSurvey
from paribus.results.evidence import Evidence
from paribus.results.schema import Figure, Table

MOST_SCREENED = 50
"""Candidates that are taken away, those that go along with something most."""
COLUMNS = {
    "feature": "number of the latent or unit",
    "stage": "how far it got: silent, outside the window of firing rates, candidate, screened or chosen",
    "firing_rate": "share of contexts of the first half with f > 0",
    "sd": "standard deviation of f there, zeros included",
    "leading": "what explains most of its variance there, label or domain",
    "leading_group": "the group of it in which f is highest on average",
    "selectivity": "adjusted share of the variance between the groups of the leading one; a correlation",
    "label_share": "the same between labels",
    "domain_share": "the same between domains",
    "candidate": "whether the firing rate is in the range asked for",
    "beyond_chance": "whether selectivity is above 97.5 % of what groups exchanged among whole clusters give there; "
    "true for every candidate where too few clusters have another one of their size for a test",
    "output_effect": "rms change of the outputs (centred) where it is set to 0; missing where it was not screened",
    "score": "geometric mean of the ranks of selectivity and output_effect among the screened",
    "chosen": "place among the chosen, from 1; 0 for the others",
    "firing_rate_other_half": "firing rate in the half that nothing was chosen on",
    "selectivity_other_half": "share that the same leading one explains there",
    "null_high": "97.5 % quantile of that share with groups exchanged among whole clusters",
    "p": "share of draws (the data among them) in which it is at least as large there",
    "p_method": "monte_carlo, or none and why",
    "p_adj": "the same against the largest candidate of every draw: family-wise over the candidates",
}
SCREENED = {
    "feature": "number of the latent or unit",
    "name": "what it is called",
    "output_effect": "rms change over contexts and outputs (centred) where it is set to 0",
    "output": "the output that moves most on average",
    "mean_change": "how far that one moves on average",
    "n": "contexts of the first half it was set in",
    "selectivity": "from the table of features: share of its variance that the leading one explains; a correlation",
    "stage": "screened or chosen",
}
MOVED = ("output", "mean_change")
CHOSEN = {
    "feature_id": "number of the latent or unit",
    "kind": "latent or unit",
    "site": "where it is read",
    **{
        name: COLUMNS[name]
        for name in (
            "leading", "leading_group", "firing_rate", "selectivity", "selectivity_other_half", "p_adj",
            "output_effect",
        )
    },
    **{name: SCREENED[name] for name in MOVED},
    "score": COLUMNS["score"],
}  # fmt: skip


def hand_over(
    recorder: Recorder, at: Surveyed, groups: Groups, said: str, frame: pd.DataFrame, screened: pd.DataFrame
) -> pd.DataFrame:
    """Hand tables and figures over; return the rows of the chosen features."""
    order = [name for name in COLUMNS if name in frame]
    shown = frame.sort_values(["score", "selectivity"], ascending=False, kind="stable", ignore_index=True)[order]
    where = f"{at.kind}s of {at.site}, on the clusters of {said}"
    says = f"One row per feature: {where}. Ranked on one half; the other half shows what of it holds."
    recorder.table(Table("features", says, Evidence.OBSERVATIONAL, shown, COLUMNS))
    effects = shown[shown["score"].notna()][["feature", "selectivity", "stage"]].merge(screened, on="feature")
    says = f"One row per screened feature: {where}, set to 0 in contexts of the first half. For choosing, not for "
    recorder.table(Table("screened", f"{says}testing.", Evidence.INTERVENTIONAL, effects, SCREENED))
    chosen = frame[frame["chosen"] > 0].sort_values("chosen").merge(screened[["feature", *MOVED]], on="feature")
    named = chosen.rename(columns={"feature": "feature_id"}).assign(kind=at.kind, site=at.site)[list(CHOSEN)]
    says = "One row per chosen feature, the best first."
    recorder.table(Table("chosen", says, Evidence.OBSERVATIONAL, named, CHOSEN))
    explained = f"variance explained by {' or '.join(groups.factors)}"
    drawn = Figure.of("scatter", "features", x="selectivity", y="selectivity_other_half", group="stage")
    says = (
        "Share of the variance between the groups of the leading factor, in the half that features are chosen on "
        "(across) and in the other half (up). It is a correlation."
    )
    looks = {"xlabel": f"{explained}, first half", "ylabel": "other half", "identity": True}
    recorder.figure(drawn.titled(f"What the {at.kind}s of {at.site} go along with", says, **looks))
    drawn = Figure.of("scatter", "screened", x="selectivity", y="output_effect", label="name", group="stage")
    says = f"Across: {explained}, a correlation; up: rms change of the outputs where the feature is set to 0."
    looks = {"xlabel": explained, "ylabel": "outputs moved when set to 0", "label_top": 6}
    recorder.figure(drawn.titled(f"What the {at.kind}s do to the output", says, **looks))
    return named


def rule(
    experiment: FeatureSurvey, at: Surveyed, said: str, n: int, groups: Groups, screened: pd.DataFrame, *, tested: bool
) -> str:
    """Return how features were chosen, in words.

    Args:
        experiment: Says which fire often enough.
        at: What they are.
        said: Where the contexts come from.
        n: On how many contexts they were chosen.
        groups: What they may go along with.
        screened: Those that were set to 0, with ``beyond_chance``.
        tested: Whether the half that they are chosen on allows a test.
    """
    beyond = int(screened["beyond_chance"].sum())
    told = "all" if beyond == len(screened) else str(beyond) if beyond else "none"
    chance = f"{told} of them more than by chance"
    if not tested:
        chance = "not tested: too few clusters have another one of their size"
    return (
        f"Chosen on {n} contexts of one half of the clusters of {said}: of the {at.kind}s of {at.site} that fire in "
        f"{experiment.min_firing:.0%} to {experiment.max_firing:.0%} of them, the {len(screened)} that go along with "
        f"{' or '.join(groups.factors)} most ({chance}); of these, those with the largest geometric mean of two ranks, "
        "how much of the variance the leading one explains and how far the outputs move when the feature is set to 0; "
        "at most one for each leading group as long as there are others."
    )


def about(at: Surveyed, row: pd.Series, place: int, level: float) -> str:
    """Return the sentence about a chosen feature."""
    holds = "" if not row["p_adj"] > level else ", where it is not told from chance"
    tested = f", adjusted p {row['p_adj']:.3g}" if np.isfinite(row["p_adj"]) else ", untested"
    moved = "it moves no output when set to 0"
    if row["output_effect"] > 0:
        moved = (
            f"set to 0 it moves the outputs by {row['output_effect']:.3g} (rms), {row['output']} most "
            f"({row['mean_change']:+.3g} on average)"
        )
    return (
        f"{at.kind.capitalize()} {row['feature_id']} fires in {row['firing_rate']:.0%}; {row['leading']} explains "
        f"{row['selectivity']:.0%} of its variance ({row['selectivity_other_half']:.0%} in the other "
        f"half{tested}{holds}), most active at {row['leading_group']}; {moved} (chosen, row {place + 1})."
    )
