"""What comparisons of runs share: a restriction on the runs, looked up in those that there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from paribus.compare.collect import candidates
from paribus.compare.where import check_names
from paribus.experiments.setup_runs import CollectedRun, RunsSetup


class Restricted:
    """Base of the comparisons, beside :class:`~paribus.experiments.base.Experiment`."""

    type: ClassVar[str]
    where: list[str]

    def types(self) -> tuple[str, ...]:
        """Return the types of the runs that are compared.

        Raises:
            NotImplementedError: If the comparison does not say so.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say which runs it compares")

    def validate(self, setup: RunsSetup) -> None:
        """Look up what the restriction names, in the runs that there are."""
        if self.where:
            self.check_runs(setup.runs)

    def check_runs(self, runs: Sequence[CollectedRun]) -> None:
        """Check the restriction against the runs that there are.

        Raises:
            ConfigError: If it names something that none of them has, or leaves none.
        """
        check_names(type(self).__name__, self.where, candidates(runs, self.types()))
