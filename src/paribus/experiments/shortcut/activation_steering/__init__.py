"""A3: what the network does when features are moved along the domain's direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.shortcut.activation_steering.spec import ActivationSteering

__all__ = ["ActivationSteering"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
