"""A3 (M5): what the network does when features are moved along the domain's direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.fitting import fitted
from paribus.experiments.shortcut._shortcut_experiment import ShortcutExperiment
from paribus.results.endpoint import SHARE, Companion, Endpoint
from paribus.results.schema import Aggregates
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.setup_images import ImageSetup

ENDPOINTS = (
    Endpoint(
        name="steering_margin_slope",
        label="margin moved per sd of steering",
        table="responses",
        value="slope_in_sd",
        low="slope_ci_low",
        high="slope_ci_high",
        unit="sd of the margin per sd of features",
        zero=False,  # every direction is turned so that the margin rises along it
        choices=("direction",),
    ),
    Endpoint(
        name="steering_area_acc",
        label="area between the steering curve and its value at α = 0",
        table="responses",
        value="accuracy_area",
        low="accuracy_area_ci_low",
        high="accuracy_area_ci_high",
        unit="accuracy",
        zero=False,  # an area is never negative
        bounds=SHARE,
        choices=("direction",),
        ranking=Companion("auroc_area", "auroc_area_ci_low", "auroc_area_ci_high"),
    ),
)
"""What comparisons over runs read from the table ``responses``; not ``acc(+max) - acc(-max)``, which is 0 where the
curve peaks in the middle."""
DIRECTIONS = ("between_domain_pc", "mean_difference", "probe", "lda", "random")


@dataclass(frozen=True)
class ActivationSteering(ShortcutExperiment):
    """Add ``alpha * sigma * v`` to the features at a site and run the rest of the network.

    ``v`` is a unit direction of the domain, turned so that the margin rises along it; ``sigma`` is the standard
    deviation of training features along it. Random directions, turned by the same rule and moved by the same distance,
    are the null.
    """

    type: ClassVar[str] = "activation_steering"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Moves features along the domain's direction (M5): accuracy and margin over alpha, nulls."
    declares: ClassVar[tuple[Endpoint, ...]] = ENDPOINTS

    directions: list[str] = field(
        ["between_domain_pc", "mean_difference"], choices=DIRECTIONS, help="Directions; the first one is the headline."
    )
    alphas: list[float] = field(
        [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0],
        low=-100.0,
        high=100.0,
        help="How far to move, in sd of training features along the direction; 0 is always included.",
    )

    def check(self) -> None:
        """Refuse lists that are empty or name something twice."""
        for name, least in (("directions", 1), ("alphas", 2)):
            values = getattr(self, name)
            if len(values) < least or len(set(values)) != len(values):
                raise ConfigError(
                    f"ActivationSteering.{name}: must name at least {least} different ones, each once, got {values}"
                )

    def levels(self) -> list[float]:
        """Return the alphas in ascending order, 0 among them."""
        return sorted({float(alpha) for alpha in self.alphas} | {0.0})

    def run(self, setup: ImageSetup, recorder: Recorder) -> Aggregates:
        """Run on every chosen checkpoint; hand over the tables ``sweep`` and ``responses``, figure and curves.

        Raises:
            ConfigError: If site, class or checkpoint do not exist.
            DataError: If the training split has fewer than two domains, or nothing is held out.
            ExperimentError: If nothing tells the domains apart at the site.
        """
        from paribus.experiments.shortcut._steering_report import report
        from paribus.experiments.shortcut._steering_rows import SteeringRows

        fitted(self, setup.data.offers, recorder)
        rows = SteeringRows(self, setup, recorder)
        for readout in self.readouts(setup, recorder):
            rows.measure(readout)
        held_out = [split for split in self.held_out() if split in setup.data.splits]
        recorder.diagnose(n_contexts_tested=int(sum(len(setup.data.rows(split)) for split in held_out)))
        return report(self, setup, recorder, rows)
