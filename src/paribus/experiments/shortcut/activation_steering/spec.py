"""A3: what the network does when features are moved along the domain's direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.base import SUFFICIENCY
from paribus.experiments.shortcut._endpoints import STEERING
from paribus.experiments.shortcut._spec import ShortcutExperiment
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.endpoint import Endpoint
from paribus.spec import field

DIRECTIONS = ("between_domain_pc", "mean_difference", "probe", "lda", "random")


@dataclass(frozen=True)
class ActivationSteering(ShortcutExperiment):
    """Add ``alpha * sigma * v`` to the features at a site and run the rest of the network.

    ``v`` is a unit direction of the domain, turned so that the margin rises along it; ``sigma`` is the standard
    deviation of training features along it. Random directions, turned by the same rule and moved by the same distance,
    are the null.

    Example:
        >>> ActivationSteering(alphas=[2.0, -2.0]).levels()
        [-2.0, 0.0, 2.0]
    """

    type: ClassVar[str] = "activation_steering"
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "Moves features along the domain's direction: accuracy and margin over alpha, nulls."
    declares: ClassVar[tuple[Endpoint, ...]] = STEERING
    bears_on: ClassVar[tuple[str, ...]] = (SUFFICIENCY,)
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence(
            "One sd along {direction} moves the margin by {slope_in_sd:.3g} [{slope_ci_low:.3g}, "
            "{slope_ci_high:.3g}] sd; "
            "random directions by {slope_null_low:.3g} to {slope_null_high:.3g} (responses).",
            table="responses",
            rows={"direction": "{headline_direction}"},
        ),
        Effects(
            "sweep",
            "α = {alpha}",
            "change of accuracy along {direction} at {site}",
            "delta",
            "delta_ci_adj_{}",
            rows={"direction": "{headline_direction}"},
            null="random directions",
        ),
        Sentence(
            "Everything after {site} is affine, so the curve is the threshold curve of the unsteered margins, whatever "
            "the direction.",
            when="threshold_only",
        ),
        Sentence(
            "Accuracy at the two ends of the sweep differs by {delta_acc:signed}; the trend over α has p = "
            "{trend_p:.2g} "
            "and the curve is monotonic.",
            when="monotonic",
        ),
        Sentence(
            "Accuracy at the two ends of the sweep differs by {delta_acc:signed}; the trend over α has p = "
            "{trend_p:.2g}, "
            "and the curve is not shown to be monotonic.",
            when="!monotonic",
        ),
    )

    directions: list[str] = field(
        ["between_domain_pc", "mean_difference"],
        once=1,
        choices=DIRECTIONS,
        help="Directions; the first one is the headline.",
    )
    alphas: list[float] = field(
        [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0],
        once=2,
        low=-100.0,
        high=100.0,
        help="How far to move, in sd of training features along the direction; 0 is always included.",
    )

    def levels(self) -> list[float]:
        """Return the alphas in ascending order, 0 among them."""
        return sorted({float(alpha) for alpha in self.alphas} | {0.0})
