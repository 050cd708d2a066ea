"""From a question to numbers: contexts, cells, places, readouts, factors, designs, and the executor that runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.measure.at_site import AtSite
    from paribus.measure.binding import Binding, FactorSpec
    from paribus.measure.cells import ArrayCells, Cells, stack
    from paribus.measure.contexts import Contexts
    from paribus.measure.design import Design
    from paribus.measure.executor import Executor
    from paribus.measure.factor import ActFactor, ActUnits, Factor, InputFactor, InputUnits, Units, crossed
    from paribus.measure.nulls import Contrasts, Moments, NullFeatures, matched
    from paribus.measure.place import Place
    from paribus.measure.readout import (
        Columns,
        Correctness,
        Divergence,
        FeatureReadout,
        LabelLogit,
        LogitDifference,
        Loss,
        Margin,
        Outputs,
        Readout,
    )
    from paribus.measure.slots import SlotsOfDonors, SlotUnits, SlotValues
    from paribus.measure.stream import Block, Measured, Stream
    from paribus.measure.subject import ArraySubject, Subject
    from paribus.measure.watch import Watch

__all__ = [
    "ActFactor",
    "ActUnits",
    "ArrayCells",
    "ArraySubject",
    "AtSite",
    "Binding",
    "Block",
    "Cells",
    "Columns",
    "Contexts",
    "Contrasts",
    "Correctness",
    "Design",
    "Divergence",
    "Executor",
    "Factor",
    "FactorSpec",
    "FeatureReadout",
    "InputFactor",
    "InputUnits",
    "LabelLogit",
    "LogitDifference",
    "Loss",
    "Margin",
    "Measured",
    "Moments",
    "NullFeatures",
    "Outputs",
    "Place",
    "Readout",
    "SlotUnits",
    "SlotValues",
    "SlotsOfDonors",
    "Stream",
    "Subject",
    "Units",
    "Watch",
    "crossed",
    "matched",
    "stack",
]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
