"""Whether another experiment would report the same effects under the null hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.validation.shuffle_null.spec import ShuffleNull

__all__ = ["ShuffleNull"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
