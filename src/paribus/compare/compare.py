"""Comparison of any metrics over runs grouped by any parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.compare.restricted import Restricted
from paribus.compare.where import check_where
from paribus.errors import ConfigError
from paribus.experiments.base import Experiment
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True)
class Compare(Restricted, Experiment):
    """Compare metrics between groups of finished runs, seeds being the samples.

    Example:
        >>> Compare(metrics=["final_ood"]).metrics
        ['final_ood']
    """

    type: ClassVar[str] = "compare"
    evidence: ClassVar[Evidence] = Evidence.COMPARISON
    subject: ClassVar[str] = "runs"
    summary: ClassVar[str] = "Compare any metrics over finished runs grouped by any parameters."
    version: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ()
    work: ClassVar[str] = "paribus.compare._compare"

    metrics: list[str] = field(
        ["final_ood"], help="Metrics or aggregates to compare; the tests are adjusted over exactly these."
    )
    experiment_type: str = field("train_classifier", help="Type of the runs that hold them.")
    group_by: list[str] = field(["training"], help="Params that make a group; training, n_train and seed are known.")
    unit: list[str] = field(
        ["seed"], help="Params that make an independent unit; equal units in two groups are paired."
    )
    reference: str = field("", help="Group that the others are compared with; empty: every pair of groups.")
    where: list[str] = field(
        [], help="Conditions on the runs: n_train=300, seed=0..7, training=a|b, tag.sweep=ID, started>=2026-11-20."
    )
    runs: list[str] = field(
        [],
        science=False,
        help="Ids of the runs to compare (that of a study's job stands for its steps); empty: all of the study.",
    )
    missing_units: str = field("flag", choices=("flag", "refuse"), help="What to do when a group lacks units.")
    mixed_code: str = field("flag", choices=("flag", "refuse"), help="What to do when code versions mix.")

    def check(self) -> None:
        """Check that something is compared, and the restriction.

        Raises:
            ConfigError: If metrics, groups or units are empty, or the restriction cannot be read.
        """
        for name in ("metrics", "group_by", "unit"):
            if not getattr(self, name):
                raise ConfigError(f"Compare.{name}: name at least one")
        check_where("Compare", self.where)

    def types(self) -> tuple[str, ...]:
        """Return the types of the runs that are compared."""
        return (self.experiment_type,)
