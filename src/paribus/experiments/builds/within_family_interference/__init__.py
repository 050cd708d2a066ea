"""A lower rung's token removed while a higher one of the same family stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.within_family_interference.spec import WithinFamilyInterference

__all__ = ["WithinFamilyInterference"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
