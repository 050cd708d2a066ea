"""The entrypoint and its verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.cli.notebook import run

__all__ = ["run"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
