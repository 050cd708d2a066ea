"""Reads a latent's decoder weights, and sets the latent to other values in forward passes."""

from __future__ import annotations

import numpy as np

from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import base_numbers
from paribus.experiments.builds.decoder_output_analysis import latent, tables
from paribus.experiments.builds.decoder_output_analysis.spec import DecoderOutputAnalysis
from paribus.experiments.builds.setup import BuildSetup
from paribus.results.schema import NULL_BAND, Aggregates, EngineReport, Figure
from paribus.stats.nulls import null_percentile

TOLERANCE = 1e-4
"""Largest difference between measured and predicted logit changes, as a share of the largest logit."""


def validate(experiment: DecoderOutputAnalysis, setup: BuildSetup) -> None:
    """Refuse features that are no latents.

    Raises:
        ConfigError: If the feature has no decoder column, or a stable token is unknown.
    """
    latent.Decoder(setup)
    experiment.hold(setup, setup.contexts.states()[:1])


def run(experiment: DecoderOutputAnalysis, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Read the weights, set the latent, and hold the two against each other."""
    decoder = latent.Decoder(setup)
    setup.describe(recorder)
    weights = decoder.weights()
    tokens = tables.token_table(setup, weights)
    families = tables.family_table(weights, tokens)
    recorder.table(tables.described("token_effects", "One row per ability token.", tokens))
    recorder.table(tables.described("family_effects", "One row per family: the mean over its tokens.", families))
    own = restricted(experiment, setup)
    base = latent.base_of(own, decoder, own.enforce(experiment.hold(own, own.contexts.states()), recorder))
    f = setup.corpus_measured.f
    values = {"zero": 0.0, "mean": float(f.mean()), "max": float(f.max())}
    done = [latent.set_latent(own, decoder, base, name, value) for name, value in values.items()]
    parity = max(each.parity for each in done)
    scale = max(1.0, float(np.abs(base.logits).max(initial=0.0)))
    holds = parity <= TOLERANCE * scale
    n = len(base.f) * (len(done) + 1)
    recorder.diagnose(engine=EngineReport("hooks", n, n, parity))
    if not holds:
        recorder.warn(f"setting the latent changes logits by up to {parity:.3g} other than its decoder column says")
    summary = tables.interventions(own, base, done, experiment.top_k)
    recorder.table(tables.described("interventions", "One row per value the latent is set to.", summary))
    changes = tables.logit_changes(own, decoder, recorder, base, done, tokens, experiment.top_tokens)
    recorder.table(tables.described("logit_changes", "One row per value set and leading token.", changes))
    predicted = tables.top_k_changes(own, recorder, base, done, experiment.top_k, experiment.top_tokens)
    recorder.table(tables.described("top_k_changes", "One row per value set and token that moved.", predicted))
    draw(recorder)
    ranked = tokens.sort_values("centred", ascending=False)["token"].tolist()
    ordered = families.sort_values("mean_centred")["family"].tolist()
    removed = done[0].measured[:, tokens["token"].tolist().index(ranked[0])]
    overlaps = dict(zip(summary["set_to"], summary["top_k_overlap"], strict=True))
    recorder.metric("encoder_cosine", weights.cosine)
    return Aggregates(
        mean_delta=float(removed.mean()),
        std_delta=float(removed.std(ddof=1)) if len(removed) > 1 else 0.0,
        n_samples=len(base.f),
        n_conditions=len(done),
        **base_numbers(setup),
        custom={
            "top_tokens": ranked[:5],
            "bottom_tokens": ranked[::-1][:5],
            "top_family": ordered[-1],
            "bottom_family": ordered[0],
            "encoder_cosine": weights.cosine,
            "encoder_cosine_percentile": null_percentile(weights.cosine, weights.other_cosines),
            "decoder_norm": weights.norm,
            "parity_max_abs_diff": parity,
            "prediction_holds": holds,
            **{f"top_k_overlap_{name}": float(share) for name, share in overlaps.items()},
        },
    )


def restricted(experiment: DecoderOutputAnalysis, setup: BuildSetup) -> BuildSetup:
    """Return the setup on the contexts that are edited: those that keep the constraints, ``max_contexts`` of them.

    Raises:
        ConfigError: If no context is left.
    """
    states = setup.enforce(experiment.hold(setup, setup.contexts.states()))
    setup.require(states.ok, f"stable_tokens={experiment.stable_tokens}")
    return setup.restrict(setup.drawn(np.flatnonzero(states.ok), experiment.max_contexts, "decoder_contexts"))


def draw(recorder: Recorder) -> None:
    """Declare the figures: every token by family and rung, and families against all latents."""
    roles = {"label": "family", "value": "mean_centred", "null": "null_median", **NULL_BAND}
    drawn = Figure.of("bars", "family_effects", name="decoder_families", **roles)
    says = "Mean effect of the decoder column on the logits of a family's tokens; hatched: all other latents."
    looks = {"ylabel": "logit per unit of activation", "null_label": "other latents", "sort": "value"}
    recorder.figure(drawn.titled("What the latent writes into the output, by family", says, **looks))
    drawn = Figure.of(
        "heatmap", "token_effects", name="decoder_tokens", x="rung", y="family", value=["centred", "null_percentile"]
    )
    recorder.figure(
        drawn.titled(
            "What the latent writes into the output, by family and rung",
            "Left: effect of the decoder column on each token's logit, without the mean over tokens. "
            "Right: its place among all other latents.",
            xlabel="rung (AP; main-only abilities at 10)",
            value_label=["logit per unit of activation", "percentile among latents"],
            diverging=[True, False],
        )
    )
