"""The smallest sets of units of a context that keep a feature active."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.minimal_cores.spec import MinimalCores

__all__ = ["MinimalCores"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
