"""Whether a third family, token or weapon changes how pairs interact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.conditional_interactions.spec import ConditionalInteractions

__all__ = ["ConditionalInteractions"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
