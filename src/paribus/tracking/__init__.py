"""The MLflow store, runs in it, their identity and provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.tracking.query import load_runs
    from paribus.tracking.spec import TrackingSpec, has_runs

__all__ = ["TrackingSpec", "has_runs", "load_runs"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
