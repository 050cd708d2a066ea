"""One file per experiment type: a dataclass of its variables with a ``run`` method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.base import Experiment, MemoryRecorder, MemoryWorkspace, Recorder, Setup, perform

__all__ = ["Experiment", "MemoryRecorder", "MemoryWorkspace", "Recorder", "Setup", "perform"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
