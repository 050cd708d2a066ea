"""Which tokens fill the broad middle of a feature's range, and which only mark its extreme end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.core_coverage_analysis.spec import CoreCoverageAnalysis

__all__ = ["CoreCoverageAnalysis"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
