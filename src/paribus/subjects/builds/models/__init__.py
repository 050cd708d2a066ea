"""Networks that read builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.subjects.builds.models.planted import Planted
    from paribus.subjects.builds.models.set_completion import SetCompletion, SetCompletionSmall
    from paribus.subjects.builds.models.splatgpt import SplatGPT

__all__ = ["Planted", "SetCompletion", "SetCompletionSmall", "SplatGPT"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
