"""Tracked causal experiments on trained networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.cli.notebook import run
    from paribus.engine.evaluation import Engine
    from paribus.engine.interventions import AblateUnits, ProjectOut, Steer
    from paribus.engine.parts import Within
    from paribus.engine.replacements import Resample, SetFeature
    from paribus.engine.sites import Site
    from paribus.errors import CheckpointError, ConfigError, DataError, ExperimentError, ParibusError
    from paribus.experiments.base import Experiment, Recorder
    from paribus.measure.contexts import Contexts
    from paribus.results.endpoint import Endpoint
    from paribus.results.evidence import Evidence
    from paribus.results.schema import Aggregates, Curve, Figure, Result, Table
    from paribus.spec import Spec, field
    from paribus.stats.effects import effect_table
    from paribus.stats.spec import StatsSpec
    from paribus.tracking.query import load_runs

__all__ = [
    "AblateUnits",
    "Aggregates",
    "CheckpointError",
    "ConfigError",
    "Contexts",
    "Curve",
    "DataError",
    "Endpoint",
    "Engine",
    "Evidence",
    "Experiment",
    "ExperimentError",
    "Figure",
    "ParibusError",
    "ProjectOut",
    "Recorder",
    "Resample",
    "Result",
    "SetFeature",
    "Site",
    "Spec",
    "StatsSpec",
    "Steer",
    "Table",
    "Within",
    "__version__",
    "effect_table",
    "field",
    "load_runs",
    "run",
]
__version__ = "0.1.0"
__getattr__, __dir__ = offered(__name__, __file__, __all__)
