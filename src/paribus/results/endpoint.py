"""Endpoints: the numbers of a result that comparisons over runs are about, declared beside their tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

SHARE = (0.0, 1.0)
"""Bounds of an accuracy or another share."""
CHANGE = (-1.0, 1.0)
"""Bounds of a change of a share."""
ANY = (-math.inf, math.inf)


@dataclass(frozen=True)
class Companion:
    """The same edit's effect on the ranking of contexts, which a mere shift of the threshold leaves as it is.

    Attributes:
        value: Column of the change of AUROC.
        low: Column of the lower end of its interval.
        high: Column of the upper end.

    Example:
        >>> Companion("delta_auroc", "auroc_low", "auroc_high").value
        'delta_auroc'
    """

    value: str
    low: str
    high: str


@dataclass(frozen=True)
class Endpoint:
    """One number per trained model and checkpoint, with its interval over contexts.

    Attributes:
        name: The name used in configs.
        label: What it is, for tables, figures and sentences.
        table: The table that holds it.
        value: Column of its value.
        low: Column of the lower end of its interval over contexts; empty where there is none.
        high: Column of the upper end.
        unit: Unit of its axis.
        zero: Whether 0 means "no effect", so that it is tested against 0 within a condition.
        bounds: Least and largest value it can have.
        rows: Column to the value it has in the rows meant.
        choices: Columns whose value the comparison chooses (``method``, ``direction``, ``layer``).
        epoch: Column of the checkpoint.
        ranking: The change of AUROC reported with it, where accuracy may change by the threshold alone.
        one_minus: Whether the column holds the share that is left: the value of the endpoint is then 1 minus the
            column.

    Example:
        >>> drop = Endpoint("ood_drop", "loss of accuracy", "noise", "delta", "low", "high", "accuracy", zero=True)
        >>> drop.table, drop.zero
        ('noise', True)
    """

    name: str
    label: str
    table: str
    value: str
    low: str
    high: str
    unit: str
    zero: bool
    bounds: tuple[float, float] = ANY
    rows: Mapping[str, str] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    epoch: str = "epoch"
    ranking: Companion | None = None
    one_minus: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that must be there to read it."""
        ranking = self.ranking
        beside = () if ranking is None else (ranking.value, ranking.low, ranking.high)
        ends = (self.low, self.high) if self.low else ()
        return (*self.rows, *self.choices, self.epoch, self.value, *ends, *beside)
