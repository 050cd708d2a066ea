"""Which sets of gear occur together where a feature is high, and what inserting them really does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.frequent_itemsets.spec import FrequentItemsets

__all__ = ["FrequentItemsets"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
