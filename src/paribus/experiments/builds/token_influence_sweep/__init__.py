"""Which tokens go together with a high activation, and which of them really move it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.token_influence_sweep.spec import TokenInfluenceSweep

__all__ = ["TokenInfluenceSweep"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
