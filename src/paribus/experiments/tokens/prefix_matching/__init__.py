"""Which heads look where an induction head would look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.tokens.prefix_matching.spec import PrefixMatching

__all__ = ["PrefixMatching"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
