"""What a plug-in says about experiments on its kind of data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from paribus.experiments.asked import Asked
from paribus.experiments.base import Setup


@dataclass(frozen=True)
class MadeFrom:
    """What a result is made from besides its configuration: kept runs, or results of the steps before.

    Attributes:
        digest: A digest of all of them; part of the identity.
        runs: Ids of the runs that stand for them.
    """

    digest: str
    runs: tuple[str, ...] = ()


class SubjectPlugin(ABC):
    """Sets experiments on one kind of data up. Only :meth:`setup` has to be said.

    Attributes:
        name: What experiments (``subject``) and data sets call it.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> class Coins(SubjectPlugin):
        ...     name = "coins"
        ...     def setup(self, asked):
        ...         return Setup(seed=asked.seed, stats=StatsSpec())
        >>> Coins().made_from(asked=None) is None
        True
    """

    name: str

    @abstractmethod
    def setup(self, asked: Asked) -> Setup:
        """Load what the experiment works on.

        Raises:
            ParibusError: If something is missing or does not fit.
        """

    def validate(self, asked: Asked) -> None:
        """Look up what the request names: files, layers, checkpoints, names. Nothing is measured, nothing written.

        By default everything is loaded, and the experiment looks its own fields up.

        Raises:
            ParibusError: If something is missing or does not fit.
        """
        if asked.trained is None or not asked.trained.planned:
            asked.experiment.validate(self.setup(asked))

    def notes(self, asked: Asked, setup: Any) -> tuple[str, ...]:
        """Return the warnings that a result on this setup carries; by default, that it was measured on other data."""
        return asked.measured_elsewhere()

    def code(self) -> list[Any]:
        """Return the classes and functions whose code is part of an identity, where the subject is from outside."""
        return [type(self)]

    def made_from(self, asked: Asked) -> MadeFrom | None:
        """Return what the result is made from besides its configuration; None for experiments on data."""
        return None
