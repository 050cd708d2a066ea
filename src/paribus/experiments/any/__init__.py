"""Experiments that know no subject: a method, a factor and a readout on any network and any contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.ablate import Ablate
    from paribus.experiments.any.activation_patching import ActivationPatching
    from paribus.experiments.any.cores import Cores
    from paribus.experiments.any.grid import Grid
    from paribus.experiments.any.head_ablation import HeadAblation
    from paribus.experiments.any.interact import Interact
    from paribus.experiments.any.latent_intervention import LatentIntervention
    from paribus.experiments.any.match_features import MatchFeatures
    from paribus.experiments.any.patch import Patch
    from paribus.experiments.any.probe import Probe
    from paribus.experiments.any.scan_features import ScanFeatures
    from paribus.experiments.any.swap import Swap
    from paribus.experiments.any.sweep import Sweep

__all__ = [
    "Ablate",
    "ActivationPatching",
    "Cores",
    "Grid",
    "HeadAblation",
    "Interact",
    "LatentIntervention",
    "MatchFeatures",
    "Patch",
    "Probe",
    "ScanFeatures",
    "Swap",
    "Sweep",
]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
