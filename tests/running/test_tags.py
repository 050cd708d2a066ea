"""What a run is called and tagged with."""

from __future__ import annotations

from types import SimpleNamespace

from paribus.running.tags import condition


def resolved(experiment, training="grokking"):
    request = SimpleNamespace(nodes={"training": SimpleNamespace(condition=training)}, experiment=experiment)
    return SimpleNamespace(request=request, source=None)


def test_the_condition_is_told_where_something_is_trained_with_it():
    trains, looks = SimpleNamespace(needs=("data", "training")), SimpleNamespace(needs=("data",))
    assert condition(resolved(trains)) == "grokking"
    assert condition(resolved(looks)) is None
    assert condition(resolved(SimpleNamespace(needs=(), steps={"a": looks, "b": trains}))) == "grokking"
    assert condition(resolved(SimpleNamespace(needs=(), steps={"a": looks}))) is None


def test_an_experiment_may_count_steps_of_its_own():
    """An optimiser's number of steps is a field of the same name as a sequence's parts."""
    assert condition(resolved(SimpleNamespace(needs=("data",), steps=400))) is None
