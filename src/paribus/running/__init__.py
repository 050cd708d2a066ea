"""A run's life: resolve, set up, perform, draw, keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.running.request import Request, from_job
    from paribus.running.sequence import Sequence

__all__ = ["Request", "Sequence", "from_job"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
