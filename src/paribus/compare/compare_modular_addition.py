"""Arms of trainings on modular addition over seeds: whether and when they generalise, and with what circuit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from paribus.compare.restricted import Restricted
from paribus.compare.where import check_where
from paribus.errors import ConfigError
from paribus.experiments.base import Experiment
from paribus.experiments.tokens.circuit_metrics.spec import CircuitMetrics
from paribus.experiments.tokens.subspace_isolation.spec import SubspaceIsolation
from paribus.results.endpoint import Endpoint
from paribus.results.evidence import Evidence
from paribus.spec import field

TRAINING = "train_modular_addition"
TYPES = (TRAINING, CircuitMetrics.type, SubspaceIsolation.type)
REACHED = "reached"
LATENESS: Mapping[str, str] = {
    "val_epoch": "epoch at which held-out pairs are answered",
    "delay": "delay of held-out behind training pairs",
}
"""Endpoints that are censored where held-out pairs are never answered: they have ranks, and no mean."""
READ: Mapping[str, tuple[str, Endpoint]] = {
    each.name: (cls.type, each) for cls in (CircuitMetrics, SubspaceIsolation) for each in cls.declares
}
"""The endpoints of the steps after the training, with the type that declares each."""
ENDPOINTS = (REACHED, *LATENESS, *READ)
DEFAULT = [
    REACHED, *LATENESS, "gradient_symmetricity", "distance_irrelevance",
    "kept_accuracy", "all_kept_accuracy", "removed_accuracy",
]  # fmt: skip


@dataclass(frozen=True)
class CompareModularAddition(Restricted, Experiment):
    """Compare arms of trainings on modular addition over their seeds.

    Example:
        >>> CompareModularAddition().primary
        ['reached', 'val_epoch', 'gradient_symmetricity']
    """

    type: ClassVar[str] = "compare_modular_addition"
    evidence: ClassVar[Evidence] = Evidence.COMPARISON
    subject: ClassVar[str] = "runs"
    summary: ClassVar[str] = (
        "Compare trainings on modular addition: whether and when they generalise, and how they add."
    )
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    work: ClassVar[str] = "paribus.compare._compare_modular_addition"

    endpoints: list[str] = field(DEFAULT, choices=ENDPOINTS, help="What is compared.")
    primary: list[str] = field(
        [REACHED, "val_epoch", "gradient_symmetricity"],
        choices=ENDPOINTS,
        help="Endpoints whose tests are one family, adjusted by Holm; all others are exploratory (Benjamini-Hochberg).",
    )
    group_by: list[str] = field(
        ["experiment.weight_decay", "model.attn_coeff"], help="Params of the trainings that make an arm."
    )
    reference: str = field("2.0, 1.0", help="Arm that the others are compared with: its params, in that order.")
    where: list[str] = field([], help="Conditions on the runs: seed=0..7, tag.sweep=ID, started>=2026-11-20.")
    runs: list[str] = field(
        [],
        science=False,
        help="Ids of the runs to compare (that of a study's job stands for its steps); empty: all of the study.",
    )
    missing_units: str = field("flag", choices=("flag", "refuse"), help="What to do when an arm lacks seeds.")
    mixed_code: str = field("flag", choices=("flag", "refuse"), help="What to do when code versions mix.")

    def check(self) -> None:
        """Check endpoints, groups and the restriction.

        Raises:
            ConfigError: If one of them is empty, named twice, or cannot be read.
        """
        for name in ("endpoints", "primary", "group_by"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"CompareModularAddition.{name}: name each once, at least one")
        beside = sorted(set(self.primary) - set(self.endpoints))
        if beside:
            raise ConfigError(f"CompareModularAddition.primary: {beside[0]} is not among the endpoints")
        check_where("CompareModularAddition", self.where)

    def types(self) -> tuple[str, ...]:
        """Return the types of the runs that are compared."""
        return TYPES
