"""Clean and corrupted contexts: at which places the other context's value restores or destroys the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.any.activation_patching.spec import ActivationPatching

__all__ = ["ActivationPatching"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
