"""How a question is put to any network: a design in, arrays and sums over clusters out. No tables, no subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.methods.lattice import halves, minimal_sets, moebius, n_players

__all__ = ["halves", "minimal_sets", "moebius", "n_players"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
