"""Every feature of a place at once: firing rate, top contexts, drivers, direct effects on outputs, reliability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.base import Experiment
from paribus.experiments.told import Sentence, Told
from paribus.models.sae import sae_files
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class ScanFeatures(Experiment):
    """Scan all latents of an autoencoder, or all units of a place, in one pass and bounded memory.

    The table of all features, for looking one up; ``feature_survey`` chooses a few for a study. Every table is sorted
    by feature, so that the rows of one are read without the others (:func:`paribus.results.frames.read_rows`).

    Example:
        >>> ScanFeatures(n_top=5).n_effects
        5
    """

    type: ClassVar[str] = "scan_features"
    version: ClassVar[int] = 3
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    subject: ClassVar[str] = "any"
    summary: ClassVar[str] = "Firing, top contexts, strongest drivers, written tokens and reliability of every feature."
    work: ClassVar[str] = "paribus.experiments.any.scan_features.work"
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "slice", "constraints", "stats")
    takes_dtype: ClassVar[bool] = True
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence("{n_features} {kind}s of {place} on {n_samples} contexts of {split}; {n_silent} never fire."),
        Sentence(
            "{n_driven} of them have an established single-factor effect, with p adjusted over all {n_effects_tested} "
            "effects of all features (features).",
            when="n_effects_tested",
        ),
        Sentence(
            "Halves of the clusters agree on the effects of {n_reliable} of {n_halved} features more than sign flips "
            "do; by chance that would be about {n_reliable_by_chance} (features).",
            when="n_halved",
        ),
    )

    place: str = field(
        "auto",
        help="The module whose latents or units are scanned; auto: what a SAELens folder names, where the network's "
        "only autoencoder reads, else the input of the last linear layer.",
    )
    path: str | None = field(
        None, file=sae_files, help="State dict or SAELens folder of an autoencoder that reads the place; null: the "
        "network's own, and where it has none there the units."
    )  # fmt: skip
    clamp: float | None = field(
        6.0, above=0.0, help="Upper bound of the activation of an autoencoder from a state dict; null for none."
    )
    split: str = field("auto", help="Which contexts; auto: train where there is one, else what others report.")
    n_contexts: int = field(1000, low=0, help="The most contexts, drawn at random; 0: all.")
    n_top: int = field(10, low=1, high=1000, help="Contexts shown of each feature, those where it is most active.")
    n_effects: int = field(5, low=0, high=1000, help="Effects shown of each feature, the largest; 0: none is measured.")
    most_factors: int = field(40, low=1, help="The most factors of the inputs that are varied.")
    most_levels: int = field(4, low=2, help="The most levels of each factor, its baseline among them.")
    n_tokens: int = field(10, low=0, help="Outputs shown of each feature, those that its decoder writes to most.")
    n_splits: int = field(20, low=2, help="Halvings of the clusters that reliability is the mean of.")

    def validate(self, setup: Any) -> None:
        """Look up place, autoencoder and split, and count what is held in memory."""
        self.work_module().validate(self, setup)

    def check(self) -> None:
        """Refuse more top contexts than there are contexts."""
        if self.n_contexts and self.n_contexts < self.n_top:
            raise ConfigError(f"ScanFeatures.n_top={self.n_top}: there are {self.n_contexts} contexts")
