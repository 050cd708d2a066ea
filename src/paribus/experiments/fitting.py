"""Fits an experiment to a data set: refuses data that lack what it needs, restricts it to existing splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, TypeVar

from paribus.errors import ConfigError, DataError
from paribus.experiments.base import Experiment, Recorder
from paribus.experiments.checkpoints import CHOSEN_ON
from paribus.experiments.requires import HELD_OUT
from paribus.subjects.offers import Offers

if TYPE_CHECKING:
    from paribus.measure import Subject

E = TypeVar("E", bound=Experiment)


def offers_of(contexts: Subject) -> Offers:
    """Return what contexts offer to experiments: splits, domains, renderings, classes.

    Example:
        >>> import numpy as np
        >>> from paribus.measure import ArraySubject, Contexts
        >>> contexts = Contexts(np.zeros((4, 2)), label=[0, 1, 0, 1], domain=["a", "b", "a", "b"])
        >>> offers_of(ArraySubject(contexts))
        Offers(splits={'all': 4}, domains={'all': ('a', 'b')}, rendering=False, n_classes=2)
    """
    splits = {name: len(rows) for name, rows in contexts.splits.items()}
    domains = {}
    if contexts.domain is not None:
        domains = {
            name: tuple(contexts.domain_names[number] for number in sorted(set(contexts.domain[rows].tolist())))
            for name, rows in contexts.splits.items()
        }
    labelled = contexts.label is not None and contexts.label.dtype.kind in "iub"
    return Offers(splits, domains, bool(contexts.styles), contexts.n_classes if labelled else 0)


def why_not(experiment: Experiment, offers: Offers, data: str = "this data set") -> str | None:
    """Return why an experiment cannot be run on a data set at all, in one line; None where it can.

    Args:
        experiment: The experiment.
        offers: What the data set has.
        data: What the data set is called.
    """
    unmet = experiment.requires.unmet(offers)
    return None if unmet is None else f"{experiment.type} needs {unmet[0]}; {data} has {unmet[1]}"


def refuse_unfit(
    experiment: Experiment, offers: Offers, named: Collection[str] = (), data: str = "this data set"
) -> None:
    """Refuse an experiment that cannot be run on a data set as it is asked for.

    Args:
        experiment: The experiment.
        offers: What the data set has.
        named: Fields that the request names; those whose value is not the default count as named too.
        data: What the data set is called.

    Raises:
        DataError: If the data set lacks what the experiment needs.
        ConfigError: If a field names a split or a class that is not there.
    """
    unfit = why_not(experiment, offers, data)
    if unfit is not None:
        raise DataError(unfit)
    for name in experiment.requires.chosen:
        lacking = ", ".join(split for split in _splits(experiment, name) if split not in offers.splits)
        if lacking and (name in named or getattr(experiment, name) != _default(experiment, name)):
            raise ConfigError(f"experiment.{name}: {data} has no split {lacking}; it has {', '.join(offers.splits)}")
    for name in experiment.requires.classes:
        asked = getattr(experiment, name)
        if asked is not None and asked >= offers.n_classes:
            raise ConfigError(f"experiment.{name}: must be between 0 and {offers.n_classes - 1}, got {asked}")


def no_choice(checkpoint: str, offers: Offers, data: str) -> str | None:
    """Return why a model trained on a data set has no such checkpoint, in one line; None where it has."""
    splits = CHOSEN_ON.get(checkpoint)
    if splits is None or any(split in offers.splits for split in splits):
        return None
    return (
        f"checkpoint={checkpoint}: is chosen by the accuracy on {' or '.join(splits)}, and {data} has "
        f"{', '.join(offers.splits)}; use checkpoint=final or epoch:N"
    )


def fitted(experiment: E, offers: Offers, recorder: Recorder) -> E:
    """Return the experiment with its default splits restricted to those that exist; a warning names what was dropped.

    Raises:
        DataError: If the data set lacks what the experiment needs.
        ConfigError: If a field names a split or a class that is not there.
    """
    refuse_unfit(experiment, offers)
    changes: dict[str, Any] = {}
    for name in experiment.requires.chosen:
        asked = _splits(experiment, name)
        there = [split for split in asked if split in offers.splits]
        if len(there) == len(asked):
            continue
        there = there or [next(split for split in HELD_OUT if split in offers.splits)]
        changes[name] = there[0] if isinstance(getattr(experiment, name), str) else there
        lacking = ", ".join(split for split in asked if split not in offers.splits)
        recorder.warn(f"The data have no split {lacking}: experiment.{name} is {', '.join(there)} here.")
    return dataclasses.replace(experiment, **changes) if changes else experiment


def headline_split(reported: Collection[str], offers: Offers) -> str:
    """Return the split that results are about: ood where it is reported, else, in data without one, id_val.

    Choices are made on val where there is one, so it is the last resort there.

    Example:
        >>> from paribus.subjects.offers import Offers
        >>> headline_split(["id_val", "val"], Offers({"train": 8, "id_val": 2, "val": 2}))
        'id_val'
    """
    if "ood" in reported:
        return "ood"
    if "ood" not in offers.splits and "id_val" in reported:
        return "id_val"
    return list(reported)[-1]


def _splits(experiment: Experiment, name: str) -> list[str]:
    value = getattr(experiment, name)
    return [value] if isinstance(value, str) else list(value)


def _default(experiment: Experiment, name: str) -> Any:
    declared = next(f for f in dataclasses.fields(experiment) if f.name == name)
    return declared.default if declared.default_factory is dataclasses.MISSING else declared.default_factory()
