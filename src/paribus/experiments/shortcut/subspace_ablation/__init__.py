"""A2: what the network does without the domain's subspace, and how much of the domain is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.shortcut.subspace_ablation.spec import SubspaceAblation

__all__ = ["SubspaceAblation"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
