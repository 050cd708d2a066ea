"""The tables of the decoder's output: weights by token and family, and what setting the latent did."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import EFFECT_COLUMNS, effect_rows
from paribus.experiments.builds.decoder_output_analysis.latent import (
    Base,
    Decoder,
    SetTo,
    Weights,
    null_changes,
    top_tokens,
)
from paribus.experiments.builds.setup import BuildSetup
from paribus.results.evidence import Evidence
from paribus.results.schema import Table
from paribus.stats.bootstrap import cluster_interval
from paribus.stats.intervals import SHARE, SHARE_GAP
from paribus.stats.nulls import null_percentile, null_quantiles


def token_table(setup: BuildSetup, weights: Weights) -> pd.DataFrame:
    """Return the effect of the column on every token, with its place among all latents."""
    names = list(setup.vocabulary.ability_tokens)
    refs = [setup.vocabulary.token(name) for name in names]
    low, median, high = null_quantiles(weights.others.T)
    return pd.DataFrame(
        {
            "token": names,
            "family": [ref.family.name for ref in refs],
            "rung": [setup.vocabulary.level(ref) for ref in refs],
            "logit_effect": weights.raw,
            "centred": weights.centred,
            "null_percentile": null_percentile(weights.centred, weights.others.T),
            "null_low": low,
            "null_median": median,
            "null_high": high,
        }
    )


def family_table(weights: Weights, tokens: pd.DataFrame) -> pd.DataFrame:
    """Return the mean effect on every family's tokens, with its place among all latents."""
    rows = []
    for family, part in tokens.groupby("family", sort=False):
        null = weights.others[:, part.index].mean(1)
        centred = part["centred"].to_numpy(np.float64)
        largest = int(np.abs(centred).argmax())
        low, median, high = (float(q) for q in null_quantiles(null))
        mean = float(part["centred"].mean())
        rows.append(
            {
                "family": family,
                "n_tokens": len(part),
                "mean_centred": mean,
                "null_percentile": null_percentile(mean, null),
                "null_low": low,
                "null_median": median,
                "null_high": high,
                "largest_centred": float(centred[largest]),
                "largest_rung": int(part["rung"].to_numpy()[largest]),
            }
        )
    return pd.DataFrame(rows)


def interventions(setup: BuildSetup, base: Base, done: list[SetTo], top_k: int) -> pd.DataFrame:
    """Return, for every value set, the latent's new value and the most probable tokens."""
    before = top_tokens(base.logits, top_k)
    rows = []
    for each in done:
        after = top_tokens(base.logits + each.measured, top_k)
        overlap = (before & after).sum(1) / np.minimum(before.sum(1), after.sum(1))
        first = (base.logits + each.measured).argmax(1) != base.logits.argmax(1)
        interval = cluster_interval(
            overlap, setup.cluster, spec=setup.stats, rng=setup.rng(f"top_k_overlap_{each.name}"), bounds=SHARE
        )
        rows.append(
            {
                "set_to": each.name,
                "value": each.value,
                "n": len(base.f),
                "n_clusters": len(np.unique(setup.cluster)),
                "mean_f_before": float(base.f.mean()),
                "mean_f_change": float((each.value - base.f).mean()),
                "mean_f_read_back": float(each.f_after.mean()),
                "mean_z_before": float(base.z.mean()),
                "mean_z_read_back": float(each.z_after.mean()),
                "firing_rate": float((base.f > 0).mean()),
                "parity_max_abs_diff": each.parity,
                "top_k_overlap": float(overlap.mean()),
                "ci_low": interval.low,
                "ci_high": interval.high,
                "ci_method": interval.method,
                "top_1_changed": float(first.mean()),
            }
        )
    return pd.DataFrame(rows)


def logit_changes(
    setup: BuildSetup, decoder: Decoder, recorder: Recorder, base: Base, done: list[SetTo], tokens: pd.DataFrame, n: int
) -> pd.DataFrame:
    """Return the measured change of the ``n`` leading tokens' logits under every value, beside the predicted one."""
    order = np.argsort(-tokens["centred"].abs().to_numpy(), kind="stable")[:n]
    rows = np.concatenate([each.measured[:, order].T for each in done])
    null = np.concatenate([null_changes(setup, decoder, base, each.name)[order] for each in done])
    leading = tokens["token"].to_numpy()[order]
    labels = [f"{each.name} {token}" for each in done for token in leading]
    table = effect_rows(setup, recorder, rows, "logit_changes", null=null, labels=labels)
    predicted = np.concatenate([each.predicted[:, order].mean(0) for each in done])
    parts = pd.DataFrame(
        {
            "set_to": np.repeat([each.name for each in done], len(order)),
            "token": np.tile(leading, len(done)),
            "predicted_delta": predicted,
            "firing_rate": float((base.f > 0).mean()),
        }
    )
    return pd.concat([parts, table], axis=1)


def top_k_changes(
    setup: BuildSetup, recorder: Recorder, base: Base, done: list[SetTo], top_k: int, n_tokens: int
) -> pd.DataFrame:
    """Return the tokens that come into and leave the most probable ones, with the change of their share."""
    names = np.array(setup.vocabulary.ability_tokens)
    before = top_tokens(base.logits, top_k).astype(np.float64)
    parts, rows = [], []
    for each in done:
        after = top_tokens(base.logits + each.measured, top_k).astype(np.float64)
        change = after - before
        moved = np.flatnonzero(np.abs(change).any(0))
        moved = moved[np.argsort(-np.abs(change[:, moved].mean(0)), kind="stable")][:n_tokens]
        rows.append(change[:, moved].T)
        parts.append(
            pd.DataFrame(
                {
                    "set_to": each.name,
                    "token": names[moved],
                    "share_before": before[:, moved].mean(0),
                    "share_after": after[:, moved].mean(0),
                    "entered": (change[:, moved] > 0).mean(0),
                    "left": (change[:, moved] < 0).mean(0),
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    labels = (frame["set_to"] + " " + frame["token"]).tolist()
    table = effect_rows(setup, recorder, np.concatenate(rows), "top_k_changes", labels=labels, bounds=SHARE_GAP)
    return pd.concat([frame, table], axis=1)


def described(name: str, description: str, frame: pd.DataFrame) -> Table:
    """Return a table with what its columns mean."""
    evidence = Evidence.WEIGHTS if name in ("token_effects", "family_effects") else Evidence.INTERVENTIONAL
    meanings = {**EFFECT_COLUMNS, **_COLUMNS}
    if name == "interventions":
        meanings |= {"ci_low": "lower end of the interval of top_k_overlap"}
    if evidence is Evidence.WEIGHTS:
        meanings |= _NULLS
    return Table(name, description, evidence, frame, {c: meanings[c] for c in frame.columns if c in meanings})


_NULLS = {
    "null_percentile": "percentile of the (centred) effect among all other latents of the autoencoder, 0 to 100; "
    "not a p",
    "null_low": "2.5 % quantile over all other latents",
    "null_median": "median over all other latents",
    "null_high": "97.5 % quantile over all other latents",
}
_COLUMNS = {
    "rung": "AP of the token; main-only abilities count 10",
    "logit_effect": "change of the token's logit per unit of activation: output weights times unit-norm decoder column",
    "centred": "logit_effect without its mean over all ability tokens",
    "mean_centred": "mean of centred over the family's tokens",
    "largest_centred": "centred of the family's token with the largest size",
    "largest_rung": "AP of that token",
    "set_to": "what the latent is set to: zero, or its mean or maximum over the unsliced corpus",
    "value": "that value",
    "mean_f_change": "mean of value - f: how much of the latent is put in",
    "mean_f_read_back": "the latent as the encoder reads it behind the edit; not value where they differ",
    "mean_z_read_back": "its pre-activation there",
    "parity_max_abs_diff": "largest difference between the measured change of a logit and the predicted one",
    "top_k_overlap": "share of the most probable tokens that stay among them",
    "top_1_changed": "share of contexts whose most probable token changes",
    "predicted_delta": "mean change of the logit that the weights predict",
    "mean_delta": "mean paired change (of the logit, or of being among the most probable tokens) in the same contexts",
    "std_delta": "sample sd of the paired changes",
    "null_low": "2.5 % quantile of the same change by like latents set likewise, in logits",
    "null_percentile": "percentile of mean_delta among like latents set likewise, 0 to 100; not a p",
    "share_before": "share of contexts in which the token is among the most probable ones",
    "share_after": "the same with the latent set",
    "entered": "share of contexts in which it comes in",
    "left": "share of contexts in which it drops out",
}
