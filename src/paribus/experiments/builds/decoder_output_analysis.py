"""B14: what a latent's decoder column does to every output, and whether really setting the latent does the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.experiments.builds import _decoder as decoder
from paribus.experiments.builds import _decoder_tables as tables
from paribus.experiments.builds.build_experiment import BuildExperiment, base_numbers
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, EngineReport, Figure
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.base import Recorder
    from paribus.experiments.builds.setup import BuildSetup

TOLERANCE = 1e-4
"""Largest difference between measured and predicted logit changes, as a share of the largest logit."""


@dataclass(frozen=True, kw_only=True)
class DecoderOutputAnalysis(BuildExperiment):
    """Read the logit effect of the decoder column, then set the latent to 0, its mean and its maximum."""

    type: ClassVar[str] = "decoder_output_analysis"
    evidence: ClassVar[Evidence] = Evidence.WEIGHTS
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "what the decoder column does to every output token, verified by setting the latent"

    top_k: int = field(10, low=1, help="Predicted tokens whose change is reported.")
    top_tokens: int = field(20, low=1, help="Tokens in the table of logit changes and in the figure.")
    max_contexts: int = field(500, low=1, help="Contexts in which the latent is really set, drawn at random.")

    def validate(self, setup: BuildSetup) -> None:
        """Refuse features that are no latents.

        Raises:
            ConfigError: If the feature has no decoder column, or a stable token is unknown.
        """
        decoder.required_latent(setup)
        self.hold(setup, setup.contexts.states()[:1])

    def run(self, setup: BuildSetup, recorder: Recorder) -> Aggregates:
        """Read the weights, set the latent, and hold the two against each other."""
        import numpy as np

        from paribus.stats.nulls import null_percentile

        decoder.required_latent(setup)
        setup.describe(recorder)
        weights = decoder.read_weights(setup)
        tokens = tables.token_table(setup, weights)
        families = tables.family_table(weights, tokens)
        recorder.table(tables.described("token_effects", "One row per ability token.", tokens))
        recorder.table(tables.described("family_effects", "One row per family: the mean over its tokens.", families))
        own = self.restricted(setup)
        base = decoder.base_of(own, own_states := self.held_states(own, recorder))
        values = self.values(setup)
        done = [decoder.set_latent(own, base, name, value) for name, value in values.items()]
        parity = max(each.parity for each in done)
        scale = max(1.0, float(np.abs(base.logits).max(initial=0.0)))
        holds = parity <= TOLERANCE * scale
        n = own_states.size * (len(done) + 1)
        recorder.diagnose(engine=EngineReport("hooks", n, n, parity))
        if not holds:
            recorder.warn(f"setting the latent changes logits by up to {parity:.3g} other than its decoder column says")
        summary = tables.interventions(own, base, done, self.top_k)
        recorder.table(tables.described("interventions", "One row per value the latent is set to.", summary))
        changes = tables.logit_changes(own, recorder, base, done, tokens, self.top_tokens)
        recorder.table(tables.described("logit_changes", "One row per value set and leading token.", changes))
        predicted = tables.top_k_changes(own, recorder, base, done, self.top_k, self.top_tokens)
        recorder.table(tables.described("top_k_changes", "One row per value set and token that moved.", predicted))
        self.draw(recorder)
        ranked = tokens.sort_values("centred", ascending=False)["token"].tolist()
        ordered = families.sort_values("mean_centred")["family"].tolist()
        removed = done[0].measured[:, tokens["token"].tolist().index(ranked[0])]
        overlaps = dict(zip(summary["set_to"], summary["top_k_overlap"], strict=True))
        recorder.metric("encoder_cosine", weights.cosine)
        return Aggregates(
            mean_delta=float(removed.mean()),
            std_delta=float(removed.std(ddof=1)) if len(removed) > 1 else 0.0,
            n_samples=own_states.size,
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

    def values(self, setup: BuildSetup) -> dict[str, float]:
        """Return what the latent is set to: nothing, and its mean and maximum over the unsliced corpus."""
        f = setup.corpus_measured.f
        return {"zero": 0.0, "mean": float(f.mean()), "max": float(f.max())}

    def restricted(self, setup: BuildSetup) -> BuildSetup:
        """Return the setup on the contexts that are edited: those that stand the constraints, ``max_contexts`` of them.

        Raises:
            ConfigError: If no context is left.
        """
        import numpy as np

        states = setup.enforce(self.hold(setup, setup.contexts.states()))
        setup.require(states.ok, f"stable_tokens={self.stable_tokens}")
        rows = np.flatnonzero(states.ok)
        if len(rows) > self.max_contexts:
            rows = np.sort(setup.rng("decoder_contexts").choice(rows, self.max_contexts, replace=False))
        return setup.restrict(rows)

    def held_states(self, setup: BuildSetup, recorder: Recorder) -> Any:
        """Return the states the latent is set in."""
        return setup.enforce(self.hold(setup, setup.contexts.states()), recorder)

    def draw(self, recorder: Recorder) -> None:
        """Declare the figures: every token by family and rung, and families against all latents."""
        null = {"null": "null_median", "null_low": "null_low", "null_high": "null_high"}
        recorder.figure(
            Figure(
                "decoder_families",
                "bars",
                ("family_effects",),
                {"label": "family", "value": "mean_centred", **null},
                "What the latent writes into the output, by family",
                "Mean effect of the decoder column on the logits of a family's tokens; grey: all other latents.",
                {"ylabel": "logit per unit of activation", "null_label": "other latents", "sort": "value"},
            )
        )
        recorder.figure(
            Figure(
                "decoder_tokens",
                "heatmap",
                ("token_effects",),
                {"x": "rung", "y": "family", "value": ["centred", "null_percentile"]},
                "What the latent writes into the output, by family and rung",
                "Left: effect of the decoder column on each token's logit, without the mean over tokens. "
                "Right: its place among all other latents.",
                {
                    "xlabel": "rung (AP; main-only abilities at 10)",
                    "value_label": ["logit per unit of activation", "percentile among latents"],
                    "diverging": [True, False],
                },
            )
        )
