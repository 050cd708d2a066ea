"""Tracked causal experiments on trained networks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paribus.cli.notebook import run
    from paribus.results.schema import Result
    from paribus.tracking.query import load_runs

__all__ = ["Result", "__version__", "load_runs", "run"]
__version__ = "0.1.0"

_LAZY = {"run": "paribus.cli.notebook", "load_runs": "paribus.tracking.query", "Result": "paribus.results.schema"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562), so that ``import paribus`` costs nothing."""
    if name not in _LAZY:
        raise AttributeError(f"module 'paribus' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted({*globals(), *__all__})
