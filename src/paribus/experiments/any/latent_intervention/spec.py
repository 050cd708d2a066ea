"""Latents of a sparse autoencoder set to 0, their mean, their largest or stated values, at any place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.errors import ConfigError
from paribus.experiments.any.generic import Paired, endpoint
from paribus.experiments.base import NECESSITY, SUFFICIENCY
from paribus.experiments.told import Effects, Sentence, Told
from paribus.models.sae import sae_files
from paribus.results.battery import Battery
from paribus.results.endpoint import Endpoint
from paribus.spec import field

SET_TO = ("zero", "mean", "max")
LIKE = "latents of like firing rate"
DIRECTIONS = "random directions, changes of the same size"
RANDOM = "latents of random autoencoders, of the same firing rate"


@dataclass(frozen=True, kw_only=True)
class LatentIntervention(Paired):
    """Set latents of a sparse autoencoder, keeping its error term, and measure the output.

    Each is set in every context and, where the place has positions, at each of them (or at those that the place names).
    The nulls are other latents of similar firing rate, changes of the same size in random directions, and latents of
    autoencoders with random weights. The edited vectors are encoded again: a latent whose change moves many others does
    not control a single feature.

    Example:
        >>> LatentIntervention(latents=[7], set_to=["zero"]).doses
        [0.0, 0.5, 1.0, 1.5, 2.0]
    """

    type: ClassVar[str] = "latent_intervention"
    version: ClassVar[int] = 6
    summary: ClassVar[str] = "Latents of an autoencoder at any place set to 0, mean, max or values, its error kept."
    ranks: ClassVar[bool] = True
    declares: ClassVar[tuple[Endpoint, ...]] = endpoint("latent_intervention", "latents", "effect of setting a latent")
    battery: ClassVar[Battery | None] = Battery(
        *("latents", ("level",)),
        under=("experiment.place",),
        named="experiment.latents",
        own={"experiment.latents": ()},
    )
    bears_on: ClassVar[tuple[str, ...]] = (NECESSITY, SUFFICIENCY)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("latents", "{level}", "change of {readout}", null="{null}"),
        Sentence(
            "Beside {null}, {level} lies at percentile {null_percentile} (nulls).",
            table="nulls",
            rows={"level": "{headline_level}", "null": DIRECTIONS},
        ),
        Sentence(
            "Encoded again after {level}, {others_moved} other latents differ on average, together by "
            "{reencoded_off_target} times the change of the latent itself (latents).",
            table="latents",
            rows={"level": "{headline_level}"},
        ),
        Effects("slope", "{level}", "slope of {readout} per largest activation"),
    )

    latents: list[int] = field(
        [], once=0, low=0, help="Numbers of the latents; empty: the one chosen in the feature group."
    )
    path: str | None = field(
        None, file=sae_files, help="State dict or SAELens folder of an autoencoder; null: the model's own."
    )
    clamp: float | None = field(
        6.0, above=0.0, help="Upper bound of the activation of an autoencoder from a state dict; null for none."
    )
    set_to: list[str] = field(
        ["zero", "mean", "max"],
        once=0,
        choices=SET_TO,
        help="What a latent is set to: 0, or its mean or largest activation on the contexts fitted on.",
    )
    values: list[float] = field([], once=0, low=0.0, help="Further values, as activations.")
    doses: list[float] = field(
        [0.0, 0.5, 1.0, 1.5, 2.0],
        once=0,
        low=0.0,
        help="Values of a dose-response, in units of its largest activation; fewer than two: none.",
    )
    each_position: bool = field(False, help="Whether positions are edited one at a time, a row each.")

    def check(self) -> None:
        """Refuse lists that name nothing at all."""
        super().check()
        if not self.set_to and not self.values:
            raise ConfigError("LatentIntervention: name something in set_to or values")
        if self.path is not None and not self.latents:
            raise ConfigError("LatentIntervention.path: say which latents of it are set (experiment.latents=[N])")
