"""Matching the latents of two autoencoders: of two seeds, or of two trained models on the same contexts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.base import Experiment
from paribus.experiments.told import Sentence, Told
from paribus.models.hf import files_of
from paribus.models.sae import sae_files
from paribus.results.endpoint import SHARE, Endpoint
from paribus.results.evidence import Evidence
from paribus.spec import field

DECODER, ACTIVATION = "decoder", "activation"
WAYS = (ACTIVATION, DECODER)
NULL = "random latents that fire as often"


def _declared() -> tuple[Endpoint, ...]:
    of = {ACTIVATION: "correlation", DECODER: "cosine"}
    return tuple(
        Endpoint(
            name=f"match_features_{way}_{what}",
            label=label.format(way=way, of=of[way]),
            table="matched",
            value=what,
            low="",
            high="",
            unit=unit,
            zero=False,
            bounds=bounds,
            rows={"way": way},
        )
        for way in WAYS
        for what, label, unit, bounds in (
            ("share_established", "share of latents with an established partner by {way}", "share", SHARE),
            ("mean", "mean {of} of matched latents", "r", (-1.0, 1.0)),
        )
    )


def other_files(path: str) -> Mapping[str, Path]:
    """Return the files of the second autoencoder, named apart from those of the first."""
    return {f"other_{name}": file for name, file in sae_files(path).items()}


def network_files(path: str) -> Mapping[str, Path]:
    """Return the files of the second network, named apart from those of the first."""
    return {f"other_model_{file.name}": file for file in files_of(path, "experiment.other_model")}


@dataclass(frozen=True, kw_only=True)
class MatchFeatures(Experiment):
    """Match the latents of two autoencoders one to one: by decoder direction, and by activation on the same contexts.

    The second is that of another run (another seed of the autoencoder on the same model, or another trained model), or
    one from a file that reads the same network or another language model (``other_model``). The assignment maximises
    the total similarity (Hungarian method). Best matches of unrelated latents are similar too, the more so the more
    candidates there are: so the same is done with latents of random weights, as many as fire in the second and as
    often.

    Example:
        >>> MatchFeatures(other_run="1a2b3c4d").second_run
        '1a2b3c4d'
    """

    type: ClassVar[str] = "match_features"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    subject: ClassVar[str] = "any"
    summary: ClassVar[str] = "Latents of two autoencoders or two models matched by decoder and by activation."
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "slice", "constraints", "stats")
    takes_dtype: ClassVar[bool] = True
    beside: ClassVar[str] = "other_run"
    declares: ClassVar[tuple[Endpoint, ...]] = _declared()
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence(
            "Of {n} latents of the {first} and {n_other} of the {second}, {n_matched} are matched by activation, "
            "{n_established} of them established: mean correlation {mean}, with random latents that fire as often "
            "{null_low} to {null_high} (matched).",
            table="matched",
            rows={"way": ACTIVATION},
        ),
        Sentence(
            "By what their decoders write {n_matched} are matched, {n_established} of them established: mean cosine "
            "{mean}, with random ones {null_low} to {null_high} (matched).",
            table="matched",
            rows={"way": DECODER},
        ),
        Sentence("Both ways name the same partner for {n_agree} latents (matches).", when="by_decoder"),
        Sentence(
            "Left out are {n_seldom} latents of the first and {n_seldom_other} of the second that fire on fewer than "
            "{least_fired} of {n_vectors} vectors."
        ),
    )

    place: str = field(
        "auto",
        help="Where the first autoencoder reads; auto: what a SAELens folder names, else where the network's only one "
        "reads.",
    )
    path: str | None = field(
        None, file=sae_files, help="State dict or SAELens folder of the first autoencoder; null: the model's own."
    )
    other_run: str | None = field(
        None,
        science=False,
        help="Run that trained the second autoencoder or model, by its id or the first digits of it; previous: the "
        "training run before that of the model; null: the second autoencoder is from a file, for the same network.",
    )
    other_place: str = field("auto", help="Where the second one reads; auto: as place, in its own network.")
    other_path: str | None = field(
        None, file=other_files, help="State dict or SAELens folder of the second autoencoder; null: that of other_run."
    )
    other_model: str | None = field(
        None,
        unstated=None,
        file=network_files,
        help="Hugging Face folder or GGUF file of the network that the second autoencoder reads, given the same tokens "
        "(one tokenizer for both); null: the same network, or that of other_run.",
    )
    clamp: float | None = field(
        6.0, above=0.0, help="Upper bound of the activation of an autoencoder from a state dict; null for none."
    )
    decoder: str = field(
        "auto",
        choices=("auto", "always", "never"),
        help="Whether what is written is compared; auto: where both networks have the same weights and both read the "
        "same place, so that channels mean the same.",
    )
    split: str = field("auto", help="Which contexts; auto: train where there is one, else what others report.")
    n_contexts: int = field(1000, low=10, help="The most contexts, drawn at random.")
    n_vectors: int = field(
        5000, low=10, help="About how many positions of them, as many of each context, where a place has several."
    )
    least_fired: int = field(
        10, low=1, help="Fewest vectors on which a latent must fire to be matched: seldom ones look alike by chance."
    )
    n_random: int = field(39, low=0, help="Random autoencoders; the smallest adjusted p is 1 / (n_random + 1).")

    def validate(self, setup: Any) -> None:
        """Look up both autoencoders, where they read, and the split."""
        self.work_module().validate(self, setup)

    def check(self) -> None:
        """Refuse two second networks.

        Raises:
            ConfigError: If there are.
        """
        if self.other_model is not None and self.other_run is not None:
            raise ConfigError("MatchFeatures: name the second network by other_run or by other_model, not by both")
