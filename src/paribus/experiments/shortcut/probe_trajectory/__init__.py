"""A1: what linear probes read of domain and label, layer by layer, over training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.shortcut.probe_trajectory.spec import ProbeTrajectory

__all__ = ["ProbeTrajectory"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
