"""Comparison of training conditions over all finished runs of the shortcut study: one figure, one table of tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.compare.compare import ALLOW
from paribus.compare.declared import ENDPOINTS, TYPE_OF, check_choice
from paribus.compare.restricted import Restricted
from paribus.errors import ConfigError
from paribus.spec import field

TYPES = ("train_classifier", "probe_trajectory", "subspace_ablation", "activation_steering", "domain_swap")
DEFAULT = [
    "raw_ood_accuracy", "ablation_delta_ood", "steering_margin_slope", "swap_effect", "domain_probe_accuracy",
]  # fmt: skip


@dataclass(frozen=True)
class CompareInterventions(Restricted):
    """Compare training conditions over all finished runs of a study.

    Example:
        >>> CompareInterventions(where=["seed=0..7"]).where
        ['seed=0..7']
    """

    type: ClassVar[str] = "compare_interventions"
    summary: ClassVar[str] = "Compare training conditions over all finished runs: one figure, exact tests over seeds."

    version: ClassVar[int] = 3

    endpoints: list[str] = field(
        DEFAULT,
        once=1,
        choices=tuple(ENDPOINTS),
        help="Endpoints that the experiments declare; the tests are adjusted over exactly these.",
    )
    primary: list[str] = field(
        [],
        unstated=[],
        choices=tuple(ENDPOINTS),
        help="Endpoints whose tests, in each condition and between them, are one family, adjusted by Holm; all other "
        "tests are then exploratory. Empty: each table is a family.",
    )
    reference: str = field("standard", help="Training condition that the others are compared with.")
    method: str = field(
        "mean_difference",
        help="Eraser whose ablation is compared; the probe's rows leave most of the domain's effect standing.",
    )
    direction: str = field("between_domain_pc", help="Steering direction that is compared.")
    layer: str = field("", help="Probed layer of the domain-probe endpoint; empty: the last one.")
    level: str = field(
        "", unstated="", help="Row of an experiment on any network (its level) that its endpoint is read at."
    )
    at: str = field("peak_val", help="Checkpoint read where runs hold several: peak_val, final or epoch:N.")
    factors: list[str] = field(
        ["training.weight_decay", "training.init_scale", "training.grokfast"],
        help="Params whose main effects are tested where their full factorial was run.",
    )
    allow: list[str] = field(
        list(ALLOW),
        unstated=list(ALLOW),
        choices=ALLOW,
        help="What is admitted although it may make the comparison say more than its runs show; the rest is refused.",
    )
    missing_seeds: str = field("flag", choices=("flag", "refuse"), help="What to do when one arm lacks seeds.")
    mixed_code: str = field("flag", choices=("flag", "refuse"), help="What to do when code versions mix.")
    accuracy_limits: list[float] | None = field(None, low=0.0, high=1.0, help="Limits of the accuracy axes.")
    chance: float | None = field(
        None, low=0.0, high=1.0, help="Reference line of the figure; null: chance as the runs' label probes tell it."
    )

    def check(self) -> None:
        """Check the checkpoint rule, the limits, the endpoints and the restriction.

        Raises:
            ConfigError: If one of them cannot be read.
        """
        check_choice("CompareInterventions", self.at, self.level, self.endpoints)
        limits = self.accuracy_limits
        if limits is not None and (len(limits) != 2 or limits[0] >= limits[1]):
            raise ConfigError(f"CompareInterventions.accuracy_limits: must be [low, high], got {limits!r}")
        beside = sorted(set(self.primary) - set(self.endpoints))
        if beside:
            raise ConfigError(f"CompareInterventions.primary: {beside[0]} is not among the endpoints")
        super().check()

    def reads(self) -> tuple[str, ...]:
        """Return the types of experiments whose endpoints are compared."""
        return self.types()[1:]

    def types(self) -> tuple[str, ...]:
        """Return the experiment types whose runs are compared: the study's, and those of further endpoints."""
        return tuple(dict.fromkeys((*TYPES, *(TYPE_OF[name] for name in self.endpoints))))
