"""One file per experiment type: a dataclass of its variables with a ``run`` method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.base import Experiment, Recorder, Setup, perform
    from paribus.experiments.feature_survey import FeatureSurvey
    from paribus.experiments.plugins import register
    from paribus.experiments.recording import MemoryRecorder, MemoryWorkspace
    from paribus.experiments.setup import NetworkSetup
    from paribus.experiments.train_sae import TrainSAE

__all__ = [
    "Experiment",
    "FeatureSurvey",
    "MemoryRecorder",
    "MemoryWorkspace",
    "NetworkSetup",
    "Recorder",
    "Setup",
    "TrainSAE",
    "perform",
    "register",
]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
