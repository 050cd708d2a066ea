"""Comparison of anything that runs hold, over groups made by any parameters."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

from paribus.compare.declared import ENDPOINTS, RULES, TYPE_OF, check_choice
from paribus.compare.quantities import Quantity, read_quantity
from paribus.compare.restricted import Restricted
from paribus.errors import ConfigError, ExperimentError, nearest
from paribus.experiments.setup_runs import RunsSetup
from paribus.spec import field

ALLOW = (
    "missing_replicates", "duplicates", "pooled_runs", "mixed_code", "mixed_data", "mixed_models", "mixed_evidence",
    "selected_on_reported", "shared_data",
)  # fmt: skip
DEFAULT_METRICS = ("final_ood",)
CHOOSE = {"method": "mean_difference", "direction": "between_domain_pc", "layer": "", "level": "", "at": "peak_val"}


@dataclass(frozen=True)
class Compare(Restricted):
    """Compare endpoints, metrics, numbers of tables and whole curves between groups of finished runs.

    Example:
        >>> found = Compare(curves=["sweep.head_ood_acc:alpha@direction=between_domain_pc"], reference="standard")
        >>> found.unit
        ['seed']
    """

    type: ClassVar[str] = "compare"
    summary: ClassVar[str] = "Compare endpoints, metrics, table columns or curves over runs grouped by any parameters."
    version: ClassVar[int] = 5

    metrics: list[str] | None = field(
        None, help="Metrics or aggregates to compare; null: final_ood, unless something else is named below."
    )
    endpoints: list[str] = field(
        [], unstated=[], choices=tuple(ENDPOINTS), help="Endpoints that experiments declare, of whatever types."
    )
    columns: list[str] = field(
        [], unstated=[], help="Numbers of tables: TABLE.COLUMN, with @column=value for the row that is meant."
    )
    curves: list[str] = field(
        [],
        unstated=[],
        help="Curves of tables: TABLE.COLUMN:LEVEL, with @column=value for the rows; their means are tested.",
    )
    experiment_type: str = field("train_classifier", help="Type of the runs that hold metrics, columns and curves.")
    primary: list[str] = field(
        [],
        unstated=[],
        help="Which of all these were declared before looking: one family, adjusted by Holm; the others are "
        "exploratory then. Empty: all are one family.",
    )
    choose: dict[str, str] = field(
        CHOOSE,
        unstated=CHOOSE,
        help="What endpoints are read at: method, direction, layer, level; the checkpoint (at) also of columns and "
        "curves: peak_val, final or epoch:N.",
    )
    group_by: list[str] = field(["training"], help="Params that make a group; training, n_train and seed are known.")
    facet_by: list[str] = field(
        [], unstated=[], help="Up to two of them that make panels of curves: rows first, then columns."
    )
    unit: list[str] = field(
        ["seed"], help="Params that make an independent unit; equal units in two groups are paired."
    )
    reference: str = field("", help="Group that the others are compared with; empty: every pair of groups.")
    allow: list[str] = field(
        [],
        unstated=[],
        choices=ALLOW,
        help="What is admitted although it may make the comparison say more than its runs show; written on figures.",
    )
    looks: list[int] = field(
        [],
        unstated=[],
        low=2,
        help="After how many pairs was to be looked, as declared before the first: [8,12,24]. The tests keep their "
        "level over all looks.",
    )
    anytime: bool = field(
        False,
        unstated=False,
        help="Replicates were added without a plan: tests that hold whenever one looks, from 8 pairs on.",
    )
    smallest_effect: float = field(
        0.0, unstated=0.0, low=0.0, help="Smallest difference of interest, for the runs that a study would need."
    )
    missing_units: str = field(
        "refuse", choices=("flag", "refuse"), help="The former form of allow: flag is allow=[missing_replicates]."
    )
    mixed_code: str = field(
        "refuse", choices=("flag", "refuse"), help="The former form of allow: flag is allow=[mixed_code]."
    )

    def check(self) -> None:
        """Check that something is compared, and that every name can be read.

        Raises:
            ConfigError: If nothing is named, or something cannot be read or contradicts something else.
        """
        for name in ("group_by", "unit"):
            if not getattr(self, name):
                raise ConfigError(f"Compare.{name}: name at least one")
        if not self.compared():
            raise ConfigError("Compare.metrics: name at least one metric, endpoint, column or curve")
        super().check()
        self._check_choices()
        self._check_plan()

    def _check_choices(self) -> None:
        known = self.compared()
        twice = sorted({name for name in known if known.count(name) > 1})
        if twice:
            raise ConfigError(f"Compare: {twice[0]} is named twice")
        for name in self.primary:
            if name not in known:
                raise ConfigError(f"Compare.primary: {name!r} is not compared; {nearest(name, known)}")
        for name in self.choose:
            if name not in CHOOSE:
                raise ConfigError(f"Compare.choose: no such choice {name!r}; {nearest(name, CHOOSE)}")
        check_choice("Compare.choose", self.choice("at"), self.choice("level"), self.endpoints)
        for name in self.facet_by:
            if name not in self.group_by:
                raise ConfigError(f"Compare.facet_by: {name!r} is none of group_by ({', '.join(self.group_by)})")
        if len(self.facet_by) > 2:
            raise ConfigError("Compare.facet_by: rows and columns are two params, not more")

    def _check_plan(self) -> None:
        if any(b <= a for a, b in itertools.pairwise(self.looks)):
            raise ConfigError(f"Compare.looks: must rise, got {self.looks}")
        if self.looks and self.anytime:
            raise ConfigError("Compare.anytime: looks were declared; a study has a plan or it has none")

    def validate(self, setup: RunsSetup) -> None:
        """Look up what the restriction names, and whether the runs may be compared.

        Raises:
            ConfigError: If there are none, or something is found in them that is not admitted.
        """
        super().validate(setup)
        try:
            self.work_module().admitted(self, setup.runs)
        except ExperimentError as error:
            raise ConfigError(str(error)) from None

    def named(self) -> tuple[str, ...]:
        """Return the names of the numbers that are compared."""
        return (*self.metric_names(), *self.endpoints, *(each.text for each in self.numbers()))

    def compared(self) -> tuple[str, ...]:
        """Return the names of all that is compared: the numbers, then the curves."""
        return (*self.named(), *(each.text for each in self.whole_curves()))

    def numbers(self) -> list[Quantity]:
        """Return the numbers of tables that are compared."""
        return [read_quantity("Compare.columns", text, curve=False) for text in self.columns]

    def whole_curves(self) -> list[Quantity]:
        """Return the curves that are compared."""
        return [read_quantity("Compare.curves", text, curve=True) for text in self.curves]

    def metric_names(self) -> tuple[str, ...]:
        """Return the names of the metrics that are compared."""
        if self.metrics is not None:
            return tuple(self.metrics)
        return () if self.endpoints or self.columns or self.curves else DEFAULT_METRICS

    def choice(self, name: str) -> str:
        """Return what endpoints are read at."""
        return str(self.choose.get(name, CHOOSE[name]))

    def allowed(self) -> frozenset[str]:
        """Return the names of all that is admitted."""
        former = {"missing_replicates": self.missing_units, "mixed_code": self.mixed_code}
        return frozenset(self.allow) | {name for name, value in former.items() if value == "flag"}

    def types(self) -> tuple[str, ...]:
        """Return the types of the runs that are compared."""
        at_checkpoint = bool(self.endpoints or self.columns or self.curves) and self.choice("at") in RULES
        return tuple(dict.fromkeys((*self.compared_types(), *((TRAINING,) if at_checkpoint else ()))))

    def compared_types(self) -> tuple[str, ...]:
        """Return the types of the runs that hold what is compared."""
        own = (self.experiment_type,) if self.metric_names() or self.columns or self.curves else ()
        return tuple(dict.fromkeys((*own, *(TYPE_OF[name] for name in self.endpoints))))


TRAINING = "train_classifier"
"""The type of the runs that know which epoch is ``peak_val``."""
