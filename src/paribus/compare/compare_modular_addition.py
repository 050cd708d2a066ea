"""Arms of trainings on modular addition over seeds: whether and when they generalise, and with what circuit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from paribus.compare.compare import ALLOW
from paribus.compare.restricted import Restricted
from paribus.errors import ConfigError
from paribus.experiments.any.activation_patching.spec import DENOISE, NOISE, ActivationPatching
from paribus.experiments.any.generic import AUTO
from paribus.experiments.any.head_ablation.spec import HeadAblation
from paribus.experiments.tokens.circuit_metrics.spec import CircuitMetrics
from paribus.experiments.tokens.subspace_isolation.spec import SubspaceIsolation
from paribus.results.endpoint import Endpoint
from paribus.spec import field

TRAINING = "train_modular_addition"
TYPES = (TRAINING, CircuitMetrics.type, SubspaceIsolation.type, HeadAblation.type, ActivationPatching.type)
REACHED = "reached"
LATENESS: Mapping[str, str] = {
    "val_epoch": "epoch at which held-out pairs are answered",
    "delay": "delay of held-out behind training pairs",
}
"""Endpoints that are censored where held-out accuracy never reaches the threshold: compared by ranks, without a
mean."""
MARGIN = "label_margin"
ABLATED = Endpoint(
    *("first_head_effect", "change of the margin without the first head", "heads", "mean_delta", "", ""),
    unit=MARGIN,
    zero=True,
    rows={"rank": "1", "ablation": "mean", "readout": MARGIN},
)
"""Endpoints of the head ranked first by its effect on pairs other than the reported ones."""


def _patched(name: str, label: str, direction: str, k: int, value: str = "share") -> Endpoint:
    """Return the endpoints of patching the first heads with values from a pair of another sum, or of the same sum."""
    rows = {"direction": direction, "k": str(k), "readout": MARGIN}
    return Endpoint(name, label, "k_sweep", value, "", "", unit="share", zero=True, rows=rows)


PATCHED = (
    _patched("head_restores", "margin restored by the first head (share)", DENOISE, 1),
    _patched("heads_restore", "margin restored by four heads (share)", DENOISE, 4),
    _patched("heads_restore_singly", "margin restored by four heads singly (share)", DENOISE, 4, "sum_share"),
    _patched("heads_destroy", "margin destroyed by four heads (share)", NOISE, 4),
)
"""Endpoints of patching heads at the positions where they have an effect, ranked by their effect on other pairs."""
READ: Mapping[str, tuple[str, Endpoint]] = {
    **{each.name: (cls.type, each) for cls in (CircuitMetrics, SubspaceIsolation) for each in cls.declares},
    ABLATED.name: (HeadAblation.type, ABLATED),
    **{each.name: (ActivationPatching.type, each) for each in PATCHED},
}
"""The endpoints of the steps after the training, with the type that each is read from."""
OF_HEADS: Mapping[str, Mapping[str, str]] = {
    HeadAblation.type: {"experiment.place": AUTO},
    ActivationPatching.type: {"experiment.part": "heads", "experiment.places": "[]"},
}
"""Params of the runs that an endpoint of heads is read from: other runs of these types are about other sites."""
ENDPOINTS = (REACHED, *LATENESS, *READ)
DEFAULT = [
    REACHED, *LATENESS, "gradient_symmetricity", "distance_irrelevance",
    "kept_accuracy", "all_kept_accuracy", "removed_accuracy",
    ABLATED.name, *(each.name for each in PATCHED),
]  # fmt: skip


@dataclass(frozen=True)
class CompareModularAddition(Restricted):
    """Compare arms of trainings on modular addition over their seeds.

    Example:
        >>> CompareModularAddition().primary
        ['reached', 'val_epoch', 'gradient_symmetricity']
    """

    type: ClassVar[str] = "compare_modular_addition"
    summary: ClassVar[str] = (
        "Compare trainings on modular addition: whether and when they generalise, and how they add."
    )
    version: ClassVar[int] = 1

    endpoints: list[str] = field(DEFAULT, once=1, choices=ENDPOINTS, help="What is compared.")
    primary: list[str] = field(
        [REACHED, "val_epoch", "gradient_symmetricity"],
        once=1,
        choices=ENDPOINTS,
        help="Endpoints whose tests are one family, adjusted by Holm; all others are exploratory (Benjamini-Hochberg).",
    )
    group_by: list[str] = field(
        ["experiment.weight_decay", "model.attn_coeff"], once=1, help="Params of the trainings that make an arm."
    )
    reference: str = field("2.0, 1.0", help="Arm that the others are compared with: its params, in that order.")
    allow: list[str] = field(
        list(ALLOW),
        unstated=list(ALLOW),
        choices=ALLOW,
        help="What is admitted although it may make the comparison say more than its runs show; the rest is refused.",
    )
    missing_units: str = field("flag", choices=("flag", "refuse"), help="What to do when an arm lacks seeds.")
    mixed_code: str = field("flag", choices=("flag", "refuse"), help="What to do when code versions mix.")

    def check(self) -> None:
        """Check the primary endpoints and the restriction.

        Raises:
            ConfigError: If one of them is not compared, or cannot be read.
        """
        beside = sorted(set(self.primary) - set(self.endpoints))
        if beside:
            raise ConfigError(f"CompareModularAddition.primary: {beside[0]} is not among the endpoints")
        super().check()

    def types(self) -> tuple[str, ...]:
        """Return the types of the runs that are compared."""
        return TYPES
