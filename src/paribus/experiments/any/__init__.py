"""Experiments that know no subject: a method, a factor and a readout on any network and any contexts.

Each type is a folder: its fields in ``spec``, its work in ``work``. What types share is in the files beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
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
    from paribus.experiments.any.scan_features.spec import ScanFeatures
    from paribus.experiments.any.swap.spec import Swap
    from paribus.experiments.any.sweep.spec import Sweep

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
