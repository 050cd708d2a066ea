"""The endpoints that may be compared, as their experiments declare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paribus.errors import ConfigError
from paribus.experiments.any.ablate.spec import Ablate
from paribus.experiments.any.activation_patching.spec import ActivationPatching
from paribus.experiments.any.cores.spec import Cores
from paribus.experiments.any.grid.spec import Grid
from paribus.experiments.any.head_ablation.spec import HeadAblation
from paribus.experiments.any.interact.spec import Interact
from paribus.experiments.any.latent_intervention.spec import LatentIntervention
from paribus.experiments.any.match_features.spec import MatchFeatures
from paribus.experiments.any.patch.spec import Patch
from paribus.experiments.any.probe.spec import Probe
from paribus.experiments.any.swap.spec import Swap
from paribus.experiments.any.sweep.spec import Sweep
from paribus.experiments.base import Experiment
from paribus.experiments.shortcut.activation_steering import ActivationSteering
from paribus.experiments.shortcut.domain_swap import DomainSwap
from paribus.experiments.shortcut.probe_trajectory import ProbeTrajectory
from paribus.experiments.shortcut.subspace_ablation import SubspaceAblation
from paribus.results.endpoint import Endpoint

DECLARING: tuple[type[Experiment], ...] = (
    SubspaceAblation, ActivationSteering, DomainSwap, ProbeTrajectory,
    Sweep, Grid, Swap, Interact, Cores, Ablate, Patch, Probe, LatentIntervention, ActivationPatching,
    MatchFeatures, HeadAblation,
)  # fmt: skip
"""The experiment types whose endpoints are compared."""
ENDPOINTS: Mapping[str, Endpoint] = {each.name: each for cls in DECLARING for each in cls.declares}
"""The endpoints by the name used in configs."""
TYPE_OF: Mapping[str, str] = {each.name: cls.type for cls in DECLARING for each in cls.declares}
"""The experiment type that declares each."""
RULES = ("peak_val", "final")
"""The checkpoints that are chosen by a rule; all others by their epoch."""


def check_choice(owner: str, at: str, level: str, endpoints: Sequence[str]) -> None:
    """Check which checkpoint and which row endpoints are read at.

    Raises:
        ConfigError: If the checkpoint cannot be read, or an endpoint needs a row and none is named.
    """
    if at not in RULES and not (at.startswith("epoch:") and at.removeprefix("epoch:").isdigit()):
        raise ConfigError(f"{owner}.at: must be peak_val, final or epoch:N, got {at!r}")
    generic = sorted(name for name in endpoints if "level" in ENDPOINTS[name].choices)
    if generic and not level:
        raise ConfigError(f"{owner}.level: {generic[0]} needs one, such as level='unit 3'")
