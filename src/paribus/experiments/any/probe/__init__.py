"""How well a linear probe reads label or domain at some places of any network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.probe.spec import Probe

__all__ = ["Probe"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
