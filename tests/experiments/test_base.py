"""Where the work of a type is."""

from __future__ import annotations

from paribus.experiments.any.sweep.spec import Sweep
from paribus.experiments.base import Experiment


def made(module, base=Experiment, **stated):
    return type("Made", (base,), {"__module__": module, **stated})


def test_the_work_of_a_spec_is_beside_it_unless_it_is_stated_or_inherited():
    beside = made("mine.order.spec")
    assert beside.work == "mine.order.work"
    assert made("mine.order.spec", work="mine.elsewhere").work == "mine.elsewhere"
    assert made("yours.spec", base=beside).work == "mine.order.work"
    assert made("mine.order").work == made("spec").work == ""
    assert Sweep.work == "paribus.experiments.any.sweep.work"
