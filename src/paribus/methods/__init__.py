"""Methods: questions to any network; a design in, arrays and sums by cluster out; no tables, no subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.methods.lattice import halves, minimal_sets, moebius, n_players

__all__ = ["halves", "minimal_sets", "moebius", "n_players"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
