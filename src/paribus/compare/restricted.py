"""Base of comparisons: a restriction on the runs, checked against the existing ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from paribus.compare.collect import candidates
from paribus.compare.where import check_names, check_where
from paribus.experiments.base import Experiment
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True)
class Restricted(Experiment):
    """Base of the comparisons."""

    evidence: ClassVar[Evidence] = Evidence.COMPARISON
    subject: ClassVar[str] = "runs"
    needs: ClassVar[tuple[str, ...]] = ()

    where: list[str] = field(
        [], help="Conditions on the runs: n_train=300, seed=0..7, training=a|b, tag.sweep=ID, started>=2026-11-20."
    )
    runs: list[str] = field(
        [],
        science=False,
        help="Ids of the runs to compare (that of a study's job stands for its steps); empty: all of the study.",
    )

    def check(self) -> None:
        """Check that the restriction can be read.

        Raises:
            ConfigError: If it cannot.
        """
        check_where(type(self).__name__, self.where)

    def types(self) -> tuple[str, ...]:
        """Return the types of the runs that are compared.

        Raises:
            NotImplementedError: If the comparison does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say which runs it compares")

    def validate(self, setup: RunsSetup) -> None:
        """Check the restriction against the existing runs."""
        if self.where:
            self.check_runs(setup.runs)

    def check_runs(self, runs: Sequence[CollectedRun]) -> None:
        """Check the restriction against the existing runs.

        Raises:
            ConfigError: If it names something that none of them has, or excludes all.
        """
        check_names(type(self).__name__, self.where, candidates(runs, self.types()))
