"""Every feature of a place at once: firing rate, top contexts, drivers, direct effects on outputs, reliability."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.scan_features.spec import ScanFeatures

__all__ = ["ScanFeatures"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
