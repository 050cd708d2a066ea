"""Units removed one by one, and the strongest together, on any network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.ablate.spec import Ablate

__all__ = ["Ablate"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
