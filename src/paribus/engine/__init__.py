"""Interventions on activations and inputs, evaluated the cheapest exact way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.engine.closed_form import LinearMap
    from paribus.engine.device import DeviceSpec
    from paribus.engine.evaluation import Engine, Evaluation, EvaluationReport
    from paribus.engine.intervention import Intervention
    from paribus.engine.interventions import AblateUnits, AffineErase, Identity, ProjectOut, Steer
    from paribus.engine.lazy_rows import LazyRows
    from paribus.engine.parts import Together, Within
    from paribus.engine.replacements import Graft, Resample, SetFeature
    from paribus.engine.sites import Site

__all__ = [
    "AblateUnits",
    "AffineErase",
    "DeviceSpec",
    "Engine",
    "Evaluation",
    "EvaluationReport",
    "Graft",
    "Identity",
    "Intervention",
    "LazyRows",
    "LinearMap",
    "ProjectOut",
    "Resample",
    "SetFeature",
    "Site",
    "Steer",
    "Together",
    "Within",
]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
