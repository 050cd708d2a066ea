"""The tables and figures of matched latents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Floats, Ints
from paribus.experiments.any.match_features.sides import Side
from paribus.experiments.any.match_features.spec import ACTIVATION, DECODER, NULL
from paribus.experiments.base import Recorder
from paribus.features.matching import UNMATCHED, LatentMatches
from paribus.results.schema import Figure
from paribus.stats.matching import p_of_matches
from paribus.stats.nulls import null_columns, null_quantiles, placed
from paribus.stats.permutation import MONTE_CARLO

NOTHING_DRAWN = "none: no random autoencoder, or no partner"
MATCHES = {
    "epoch": "checkpoint of the first",
    "way": "activation: matched by when they fire; decoder: by what they write",
    "feature": "number of the latent of the first; those that fire on too few vectors are left out",
    "partner": "number of the latent of the second that it is matched with, one to one; -1: none is left",
    "similarity": "what is matched by: the correlation, or the cosine",
    "cosine": "cosine of what the two write; missing where channels do not mean the same",
    "correlation": "correlation of their activations over the vectors",
    "null": "what the null is made of: matched in the same way",
    "null_low": "2.5 % quantile of the similarity of this latent's match there",
    "null_median": "median of that null",
    "null_high": "97.5 % quantile of it",
    "null_percentile": "percentile of similarity in that null, 0 to 100; not a p",
    "p": "share of random autoencoders in which its match is at least as alike, this one counted among them",
    "p_method": "monte_carlo: by random autoencoders, itself counted among them; none: why there is no p",
    "p_adj": "the same against the best match of any latent in each, in sd of its own null: holds for all latents",
    "established": "whether p_adj is within the level; undecided is not absent",
    "mutual": "whether each is the other's most similar one",
    "agree": "whether the other way names the same partner",
    "firing_rate": "share of the vectors on which the latent of the first fires",
    "partner_rate": "the same of its partner",
}
MATCHED = {
    "epoch": MATCHES["epoch"],
    "way": MATCHES["way"],
    "first": "the first autoencoder",
    "second": "the second one",
    "n": "latents of the first that fire often enough",
    "n_other": "latents of the second that do",
    "n_matched": "how many are matched",
    "mean": "mean similarity of these",
    "null_low": "2.5 % quantile of that mean where the second one is random",
    "null_median": "median of it",
    "null_high": "97.5 % quantile of it",
    "null_percentile": "percentile of mean in that null, 0 to 100; not a p",
    "n_established": "latents with an established partner",
    "share_established": "their share of the latents of the first that fire often enough",
    "n_mutual": "matches in which each is the other's most similar one",
    "n_agree": "latents for which the other way names the same partner",
}
RANKED = {
    "way": MATCHES["way"],
    "rank": "place of the match by similarity, from 1",
    "similarity": "the similarity there",
    "null_low": "2.5 % quantile of the similarity at this rank where the second one is random",
    "null_median": "median of it",
    "null_high": "97.5 % quantile of it",
}


def _of(found: LatentMatches, way: str) -> tuple[Ints, Floats, Floats]:
    """Return partners, similarities ``[k]`` and those with random autoencoders ``[draws, k]``; NaN without any."""
    partner, value, drawn = {
        ACTIVATION: (found.by_activation, found.correlation, found.random_correlation),
        DECODER: (found.by_decoder, found.cosine, found.random_cosine),
    }[way]
    return partner, value, drawn if len(drawn) else np.full((1, len(value)), np.nan)


def matches_of(found: LatentMatches, way: str, first: Side, level: float) -> pd.DataFrame:
    """Return one row per latent of the first that is matched in a way; established at a level."""
    partner, value, drawn = _of(found, way)
    p, p_adj = p_of_matches(value, drawn)
    rate = np.where(partner != UNMATCHED, found.other_rate[partner], np.nan)
    beside = found.beside[way]
    verdict = np.where(np.isfinite(p_adj), np.where(p_adj <= level, "established", "undecided"), "untested")
    return pd.DataFrame(
        {
            "epoch": first.epoch,
            "way": way,
            "feature": found.latent,
            "partner": partner,
            "similarity": value,
            "cosine": value if way == DECODER else beside,
            "correlation": value if way == ACTIVATION else beside,
            "null": NULL,
            **placed(value, drawn.T),
            "p": p,
            "p_method": np.where(np.isfinite(p), MONTE_CARLO, NOTHING_DRAWN),
            "p_adj": p_adj,
            "established": verdict,
            "mutual": found.mutual[way],
            "agree": found.agree,
            "firing_rate": found.rate[found.latent],
            "partner_rate": rate,
        }
    )


def total_of(found: LatentMatches, way: str, part: pd.DataFrame, first: Side, second: Side) -> dict[str, Any]:
    """Return the row of a way: how many are matched and established, and how alike they are, beside the null."""
    _, value, drawn = _of(found, way)
    known = np.isfinite(value)
    mean = float(value[known].mean()) if known.any() else float("nan")
    established = int((part["established"] == "established").sum())
    return {
        "epoch": first.epoch,
        "way": way,
        "first": first.label,
        "second": second.label,
        "n": len(part),
        "n_other": found.n_others,
        "n_matched": int(known.sum()),
        "mean": mean,
        **null_columns(mean, _mean_of_known(drawn), "null"),
        "n_established": established,
        "share_established": established / len(part),
        "n_mutual": int(part["mutual"].sum()),
        "n_agree": int(part["agree"].sum()),
    }


def _mean_of_known(drawn: Floats) -> Floats:
    """Return the mean of each draw over the rows that found a partner ``[draws]``."""
    known = np.isfinite(drawn)
    count = known.sum(1)
    return np.where(count > 0, np.where(known, drawn, 0.0).sum(1) / np.maximum(count, 1), np.nan)


def ranked_of(found: LatentMatches, way: str, part: pd.DataFrame) -> pd.DataFrame:
    """Return the similarities from the most alike on, beside those of each random autoencoder in its own order."""
    _, value, drawn = _of(found, way)
    order = -np.sort(-value[np.isfinite(value)])
    low, median, high = (each[: len(order)] for each in null_quantiles(-np.sort(-drawn, axis=1).T))
    columns = {"similarity": order, "null_low": low, "null_median": median, "null_high": high}
    return pd.DataFrame({"way": way, "rank": np.arange(1, len(order) + 1), **columns})


def draw(recorder: Recorder, first: Side, second: Side) -> None:
    """Hand over the figures: similarity by rank, and each match beside its null."""
    both = f"{first.label} and {second.label}"
    roles = {"x": "rank", "y": "similarity", "panel": "way"}
    band = {"null": "null_median", "null_low": "null_low", "null_high": "null_high"}
    drawn = Figure.of("curve", "ranked", name="ranked", **roles, **band)
    says = f"Matched latents from the most alike on; the band is the middle 95 % of {NULL}."
    looks = {"xlabel": "rank of the match", "ylabel": "similarity", "null_label": NULL}
    recorder.figure(drawn.titled(f"Matches of the {both}", says, **looks))
    drawn = Figure.of("scatter", "matches", name="matches", x="null_high", y="similarity", group="established",
                      panel="way")  # fmt: skip
    says = f"A point per latent; across: what 97.5 % of its matches with {NULL} stay below."
    recorder.figure(
        drawn.titled(f"Each match of the {both}", says, xlabel=f"97.5 % of {NULL}", ylabel="similarity", identity=True)
    )
