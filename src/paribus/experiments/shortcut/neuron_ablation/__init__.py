"""A4: what the network does without the units that carry the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.shortcut.neuron_ablation.spec import NeuronAblation

__all__ = ["NeuronAblation"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
