"""The endpoints that may be compared, as their experiments declare them."""

from __future__ import annotations

from collections.abc import Mapping

from paribus.experiments.base import Experiment
from paribus.experiments.shortcut.activation_steering import ActivationSteering
from paribus.experiments.shortcut.domain_swap import DomainSwap
from paribus.experiments.shortcut.probe_trajectory import ProbeTrajectory
from paribus.experiments.shortcut.subspace_ablation import SubspaceAblation
from paribus.results.endpoint import Endpoint

DECLARING: tuple[type[Experiment], ...] = (SubspaceAblation, ActivationSteering, DomainSwap, ProbeTrajectory)
"""The experiment types whose endpoints are compared."""
ENDPOINTS: Mapping[str, Endpoint] = {each.name: each for cls in DECLARING for each in cls.declares}
"""The endpoints by the name used in configs."""
TYPE_OF: Mapping[str, str] = {each.name: cls.type for cls in DECLARING for each in cls.declares}
"""The experiment type that declares each."""
