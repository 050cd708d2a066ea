"""One page about one feature: what drives it, how sure that is, and what is only correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.feature_report.spec import FeatureReport

__all__ = ["FeatureReport"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
