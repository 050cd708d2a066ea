"""What pairs and triples of tokens or families do to a feature beyond the sum of their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.pairwise_interactions.spec import PairwiseInteractions

__all__ = ["PairwiseInteractions"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
