"""Keep, or remove, one circle of the embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.tokens.subspace_isolation.spec import SubspaceIsolation

__all__ = ["SubspaceIsolation"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
