"""What a run is called and tagged with."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

from paribus.experiments.base import Experiment
from paribus.running.sequence import Sequence
from paribus.running.tags import condition
from paribus.spec import field
from paribus.training.spec import TrainingSpec


class Trains(Experiment):
    needs: ClassVar[tuple[str, ...]] = ("data", "training")


@dataclass(frozen=True)
class Looks(Experiment):
    needs: ClassVar[tuple[str, ...]] = ("data",)
    steps: int = field(400, help="Of an optimiser: a field of the same name as a sequence's parts.")


def resolved(experiment, training="grokking"):
    request = SimpleNamespace(nodes={"training": TrainingSpec(condition=training)}, experiment=experiment)
    return SimpleNamespace(request=request, source=None)


def test_the_condition_is_told_where_something_is_trained_with_it():
    assert condition(resolved(Trains())) == "grokking"
    assert condition(resolved(Sequence(steps={"a": Looks(), "b": Trains()}))) == "grokking"
    assert condition(resolved(Sequence(steps={"a": Looks()}))) is None


def test_an_experiment_may_count_steps_of_its_own():
    assert condition(resolved(Looks())) is None
