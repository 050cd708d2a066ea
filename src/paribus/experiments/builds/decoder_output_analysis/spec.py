"""The effect of a latent's decoder column on every output, and whether setting the latent has the same effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.told import Sentence, Told
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class DecoderOutputAnalysis(BuildExperiment):
    """Read the logit effect of the decoder column, then set the latent to 0, its mean and its maximum.

    Example:
        >>> DecoderOutputAnalysis(top_k=5).top_k
        5
    """

    type: ClassVar[str] = "decoder_output_analysis"
    evidence: ClassVar[Evidence] = Evidence.WEIGHTS
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "What the decoder column does to every output token, verified by setting the latent."
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence("By its weights the feature raises {top_tokens:list} and lowers {bottom_tokens:list}."),
        Sentence(
            "Really set, it changed the output as predicted (largest difference {parity_max_abs_diff:.1e}).",
            when="prediction_holds",
        ),
        Sentence(
            "Really set, it did NOT change the output as the weights predict (largest difference "
            "{parity_max_abs_diff:.1e}).",
            when="!prediction_holds",
        ),
        Sentence(
            "With the feature at its maximum {top_k_overlap_max:share} of the most probable tokens stay among them, at "
            "0 {top_k_overlap_zero:share}."
        ),
    )

    top_k: int = field(10, low=1, help="Predicted tokens whose change is reported.")
    top_tokens: int = field(20, low=1, help="Tokens in the table of logit changes and in the figure.")
    max_contexts: int = field(500, low=1, help="Contexts in which the latent is really set, drawn at random.")

    def validate(self, setup: BuildSetup) -> None:
        """Refuse features that are no latents.

        Raises:
            ConfigError: If the feature has no decoder column, or a stable token is unknown.
        """
        self.work_module().validate(self, setup)
