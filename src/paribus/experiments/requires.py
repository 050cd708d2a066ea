"""What an experiment type needs of a data set, as data: checked at dry run, and narrowed to what is there."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from paribus.errors import DataError

if TYPE_CHECKING:
    from paribus.experiments.base import Experiment, Recorder
    from paribus.subjects.offers import Offers

E = TypeVar("E", bound="Experiment")
HELD_OUT = ("id_val", "val", "ood")
"""The splits that something can be reported on, besides the training rows themselves."""
NAMES = {"train": "training split", "id_val": "split id_val", "val": "split val", "ood": "split ood"}


@dataclass(frozen=True)
class Requires:
    """The needs of an experiment type.

    Attributes:
        splits: Splits that must be there.
        any_of: Splits of which one must be there.
        domains_in: Splits that must be there and hold two domains.
        rendering: Whether the same content must be shown in another domain's style.
        chosen: Fields of the type that name splits: what they name by default is narrowed to the splits that are
            there; what a user names must be there.

    Example:
        >>> from paribus.subjects.offers import Offers
        >>> Requires(domains_in=("train",)).unmet(Offers({"train": 9}, {"train": ("all",)}))
        ('a training split with two domains', "the single domain 'all' there")
    """

    splits: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    domains_in: tuple[str, ...] = ()
    rendering: bool = False
    chosen: tuple[str, ...] = ()

    def unmet(self, offers: Offers) -> tuple[str, str] | None:
        """Return the first need that a data set does not meet and what it has instead, None where it meets all."""
        there = ", ".join(offers.splits)
        for split in self.splits:
            if split not in offers.splits:
                return f"a {NAMES[split]}", there
        if self.any_of and not any(split in offers.splits for split in self.any_of):
            return f"one of the splits {', '.join(self.any_of)}", there
        for split in self.domains_in:
            need = f"a {NAMES[split]} with two domains"
            if split not in offers.splits:
                return need, there
            if not offers.several_domains(split):
                return need, f"the single domain {next(iter(offers.domains.get(split, ())), 'all')!r} there"
        if self.rendering and not offers.rendering:
            return (
                "contents that can be shown in another domain's style",
                "none; only generated ones can, such as data=digits_scanners",
            )
        return None


def why_not(
    experiment: Experiment, offers: Offers, named: Collection[str] = (), data: str = "this data set"
) -> str | None:
    """Return why an experiment cannot be run on a data set, in one line; None where it can.

    Args:
        experiment: The experiment.
        offers: What the data set has.
        named: Fields that the request names; those whose value is not the default count as named too.
        data: What the data set is called.
    """
    unmet = experiment.requires.unmet(offers)
    if unmet is not None:
        need, has = unmet
        return f"{experiment.type} needs {need}; {data} has {has}"
    for name in experiment.requires.chosen:
        lacking = [split for split in _splits(experiment, name) if split not in offers.splits]
        if lacking and (name in named or getattr(experiment, name) != _default(experiment, name)):
            return f"experiment.{name}: {data} has no split {', '.join(lacking)}; it has {', '.join(offers.splits)}"
    return None


def fitted(experiment: E, offers: Offers, recorder: Recorder) -> E:
    """Return the experiment with the default splits narrowed to those that are there; what is narrowed is said.

    Raises:
        DataError: If the data set lacks what the experiment needs, or a split that was named.
    """
    refused = why_not(experiment, offers)
    if refused is not None:
        raise DataError(refused)
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
